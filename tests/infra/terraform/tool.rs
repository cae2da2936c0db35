//! Terraform as this machine has it, the AWS provider from a folder of plugins where there is one, and copies of the module
//! to run it in.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::skip::Because;

/// Where the module is.
pub(super) const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/infra/terraform");

/// What the tests of the module need (`override_during`); the module itself takes an older one.
const LEAST: (u64, u64) = (1, 11);
/// How far below `/` a folder of plugins may begin: `/opt/plugins/HOST/hashicorp`.
const DEEPEST: usize = 4;
/// No run of Terraform takes this long, unless it waits for what an emulator never does.
const LONGEST: Duration = Duration::from_secs(300);

/// Terraform and its provider, ready to run.
pub(super) struct Tool {
    /// The command line's own settings: where plugins are.
    config: PathBuf,
    /// The provider, as `init` set it up once for all copies.
    data: PathBuf,
    /// What `init` chose.
    lock: PathBuf,
}

/// Looks once, and sets up what all tests share.
pub(super) fn find() -> Result<&'static Tool, Because> {
    static FOUND: OnceLock<Result<Tool, Because>> = OnceLock::new();
    FOUND.get_or_init(set_up).as_ref().map_err(Clone::clone)
}

fn set_up() -> Result<Tool, Because> {
    let version = match Command::new("terraform").args(["version", "-json"]).env("CHECKPOINT_DISABLE", "1").output() {
        Ok(output) => serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(),
        // No registry of packages carries it, so nothing here can install it.
        Err(error) => return Err(Because::Impossible(format!("terraform is not installed: {error}"))),
    };
    let version = version["terraform_version"].as_str().unwrap_or("0");
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < LEAST {
        return Err(Because::Missing(format!("terraform {version} is older than {}.{}", LEAST.0, LEAST.1)));
    }

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terraform");
    let cache = folder.join("plugins");
    fs::create_dir_all(&cache).unwrap();
    let config = folder.join("cli.tfrc");
    let plugins = match plugins() {
        Some(path) => format!("provider_installation {{\n  filesystem_mirror {{\n    path = {path:?}\n  }}\n}}\n"),
        None => format!("plugin_cache_dir = {cache:?}\n"),
    };
    fs::write(&config, format!("disable_checkpoint = true\n{plugins}")).unwrap();

    let module = folder.join("module");
    let tool = Tool { config, data: folder.join("data"), lock: module.join(".terraform.lock.hcl") };
    let _ = fs::remove_dir_all(&module);
    copy_files(Path::new(MODULE), &module);
    let initialized =
        tool.run(&module, Some(&tool.data), &[], &["init", "-backend=false", "-input=false", "-no-color"]);
    if initialized.success {
        Ok(tool)
    } else {
        Err(Because::Missing(format!("the AWS provider is not to be had: {}", initialized.text.trim())))
    }
}

/// A folder of plugins with the AWS provider, laid out as `terraform providers mirror` does.
fn plugins() -> Option<PathBuf> {
    let mut folders = VecDeque::from([(PathBuf::from("/"), 0)]);
    while let Some((folder, depth)) = folders.pop_front() {
        if folder.ends_with("hashicorp") && folder.join("aws").is_dir() {
            return Some(folder.parent()?.parent()?.to_owned());
        }
        if depth == DEEPEST || ["/proc", "/sys", "/dev", "/run", "/tmp"].map(Path::new).contains(&folder.as_path()) {
            continue;
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        // Not through links, which may go round in circles.
        folders.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| (entry.path(), depth + 1)),
        );
    }
    None
}

/// What a run said and how it ended.
pub(super) struct Ran {
    pub(super) success: bool,
    pub(super) code: Option<i32>,
    /// Standard output and standard error as they came.
    pub(super) text: String,
}

impl Tool {
    /// Runs in `folder`, with no environment but this.
    #[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
    fn run(&self, folder: &Path, data: Option<&Path>, environment: &[(String, String)], args: &[&str]) -> Ran {
        let (mut reader, said) = io::pipe().unwrap();
        let mut command = Command::new("terraform");
        command
            .args(args)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("TF_CLI_CONFIG_FILE", &self.config)
            .env("TF_IN_AUTOMATION", "1")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        if let Some(data) = data {
            command.env("TF_DATA_DIR", data);
        }
        let mut child = command.spawn().unwrap();
        drop(command);
        let text = std::thread::spawn(move || io::read_to_string(&mut reader).unwrap());
        let deadline = Instant::now() + LONGEST;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                // Terraform stops its provider when it is asked to end, which frees the pipe.
                let _ = rustix::process::kill_process(
                    rustix::process::Pid::from_child(&child),
                    rustix::process::Signal::INT,
                );
                let _ = child.wait();
                panic!("terraform {args:?} took more than {LONGEST:?}:\n{}", text.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Ran { success: status.success(), code: status.code(), text: text.join().unwrap() }
    }
}

/// A copy of the module for one test.
pub(super) struct Copy {
    tool: &'static Tool,
    folder: TempDir,
    /// The folder in it where Terraform runs.
    root: PathBuf,
    data: Option<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Copy {
    /// A fresh one, with that environment and no other.
    pub(super) fn new(tool: &'static Tool, environment: &[(&str, &str)]) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        copy_files(Path::new(MODULE), folder.path());
        fs::copy(&tool.lock, folder.path().join(".terraform.lock.hcl")).unwrap();
        let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Copy { tool, root: folder.path().to_owned(), folder, data: Some(tool.data.clone()), environment }
    }

    /// One of the module's examples, which is a root of its own.
    pub(super) fn example(self, name: &str) -> Copy {
        let root = self.folder.path().join("examples").join(name);
        let copy = Copy { root, data: None, ..self };
        let initialized = copy.run(&["init", "-backend=false", "-input=false", "-no-color"]);
        assert!(initialized.success, "{}", initialized.text);
        copy
    }

    /// Writes a file of it.
    pub(super) fn write(&self, file: &str, text: &str) {
        fs::write(self.root.join(file), text).unwrap();
    }

    /// Changes a file of it.
    pub(super) fn edit(&self, file: &str, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.root.join(file)).unwrap();
        self.write(file, &change(text));
    }

    /// Runs Terraform in it.
    pub(super) fn run(&self, args: &[&str]) -> Ran {
        self.tool.run(&self.root, self.data.as_deref(), &self.environment, args)
    }
}

/// All files but what Terraform leaves behind where it was run.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        let text = name.to_string_lossy();
        if text.starts_with(".terraform") || text.contains(".tfstate") || text.ends_with(".tfvars") {
            continue;
        }
        if path.is_dir() {
            copy_files(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
