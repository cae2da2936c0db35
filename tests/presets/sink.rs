//! A server that is the other end of one preset: it reads what it is sent as the service would, and is in a bad mood as often as told.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::vendors::{Answer, Request, Said, Vendor};

/// What it does with the next request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Refuses,
    Limits,
    Fails,
    Hangs,
    /// Repeats what it was sent.
    Echoes,
}

/// What came and was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub words: String,
    pub key: Option<String>,
    pub ends: bool,
}

#[derive(Default)]
pub struct State {
    /// Bad moods to come; none: it takes what is right.
    pub moods: VecDeque<Mood>,
    /// Its mood after those.
    pub always: Option<Mood>,
    /// Every request that was taken, repeats as well.
    pub taken: Vec<Taken>,
    /// Why a request was none that the service takes.
    pub faults: Vec<String>,
    pub asked: usize,
}

impl State {
    /// What people see: a repeat is dropped where the service drops it.
    pub fn shown(&self) -> Vec<&Taken> {
        let mut shown: Vec<&Taken> = Vec::new();
        for taken in &self.taken {
            let repeats = |other: &&&Taken| other.key == taken.key && other.ends == taken.ends;
            if taken.key.is_none() || !shown.iter().any(|other| repeats(&other)) {
                shown.push(taken);
            }
        }
        shown
    }
}

pub struct Sink {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Sink {
    /// Listens until the test process ends.
    pub fn start(vendor: &'static Vendor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, vendor, &shared));
            }
        });
        Self { port, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(mut stream: TcpStream, vendor: &Vendor, state: &Mutex<State>) {
    let Some(request) = read_request(&mut stream) else { return };
    let mood = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        state.moods.pop_front().or(state.always)
    };
    let body = serde_json::from_str(&request.body).unwrap_or_default();
    let answer: Answer = match (mood, (vendor.read)(&request, &body)) {
        (_, Err(fault)) => {
            let fault = format!("{}: {fault}: {} {} {}", vendor.kind, request.method, request.path, request.body);
            state.lock().unwrap_or_else(PoisonError::into_inner).faults.push(fault);
            (400, "", "not as the service has it")
        }
        (None, Ok(Said { words, key, ends })) => {
            state.lock().unwrap_or_else(PoisonError::into_inner).taken.push(Taken { words, key, ends });
            vendor.takes
        }
        (Some(Mood::Refuses), Ok(_)) => vendor.refuses,
        (Some(Mood::Limits), Ok(_)) => vendor.limits,
        (Some(Mood::Fails), Ok(_)) => (503, "", "upstream connect error"),
        (Some(Mood::Hangs), Ok(_)) => {
            let _ = stream.read(&mut [0]); // until the other side gives up
            return;
        }
        (Some(Mood::Echoes), Ok(_)) => {
            let echo = format!("{} {} {}", request.path, request.head, request.body);
            let _ =
                write!(stream, "HTTP/1.1 403 No\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
            return;
        }
    };
    let (status, headers, body) = answer;
    let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let _ = write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\n{length}{headers}\r\n{body}");
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 2]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                let mut first = head.split(' ').map(str::to_owned);
                let (method, path) = (first.next()?, first.next()?);
                return Some(Request {
                    method,
                    path,
                    body: String::from_utf8_lossy(&bytes[end + 4..]).into_owned(),
                    head,
                });
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}
