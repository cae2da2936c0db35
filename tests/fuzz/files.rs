//! Config files: bytes of any kind, and valid files with a few things wrong.

use std::io::Write;

use api_health::configs::file;
use api_health::configs::raw::RawRow;
use proptest::prelude::*;

use crate::bytes::bytes;
use crate::rows::{self, FAULT_CHARS_MAX};
use crate::{config, is_clear, rules, soon};

const WORDS: &[&str] = &[
    "[[api]]\n",
    "[api]\n",
    "[api.headers]\n",
    "[",
    "]",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\"\"\"",
    "'''",
    "\"",
    "a.b.c = 1\n",
    "api = ",
    "api_id = \"a\"\n",
    "url = \"https://a.test/\"\n",
    "\\u0000",
    "\\x",
    "0x",
    "1_0",
    "1__0",
    "inf",
    "1979-05-27",
    "é = 1\n",
    "timeout_seconds = 10\n",
    "headers = { X = \"1\" }\n",
    "\\UFFFFFFFF",
    "+",
];

fn seeds() -> Vec<Vec<u8>> {
    let good = file::to_toml(&[RawRow { location: "t".into(), fields: rows::good() }]).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/configs");
    let written = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seeds: Vec<Vec<u8>> = written
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    seeds.extend([good.clone().into_bytes(), good.repeat(3).into_bytes()]);
    seeds
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn a_file_of_any_bytes_is_rows_or_one_clear_line(bytes in bytes(seeds(), WORDS)) {
        let mut on_disk = tempfile::NamedTempFile::new().unwrap();
        on_disk.write_all(&bytes).unwrap();
        let read = soon(|| file::read_text(on_disk.path()).and_then(|text| file::parse("apis.toml", &text)));
        match read {
            Ok(rows) => rows::check(&rows, &rules().check_all(&rows))?,
            Err(error) => is_clear(&error.to_string(), FAULT_CHARS_MAX).map_err(TestCaseError::fail)?,
        }
    }
}
