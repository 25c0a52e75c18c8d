//! The image cache: built once, never loaded unless it is whole and ours.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use roh_tests::daemon::{guest, roh};
use roh_tests::rabbit::Rabbit;
use wasmparser::{Parser, Payload};

crate::tests![
    a_damaged_image_is_rebuilt_once_by_two_that_start_at_once,
    a_cache_that_cannot_be_used_says_why,
    a_guest_that_is_missing_or_no_guest_says_what_to_do,
    the_guest_imports_what_is_listed_and_nothing_else,
];

fn start(arguments: &[&str], environment: &[(&str, &Path)]) -> std::process::Child {
    Command::new(roh())
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("roh starts")
}

fn command(arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
    start(arguments, environment).wait_with_output().expect("an output")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where the image is that the other tests use.
fn image() -> PathBuf {
    let output = command(&["image", "build"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    PathBuf::from(text(&output.stdout).trim())
}

fn a_damaged_image_is_rebuilt_once_by_two_that_start_at_once(_: &Rabbit) {
    let image = image();
    let cache = tempfile::tempdir().expect("a folder");
    for extension in ["cwasm", "json"] {
        let file = image.with_extension(extension);
        fs::copy(&file, cache.path().join(file.file_name().expect("a file"))).expect("copied");
    }
    let cached = cache.path().join(image.file_name().expect("a file"));
    let environment = [("ROH_CACHE_DIR", cache.path())];
    let info = || command(&["image", "info"], &environment);
    assert!(text(&info().stdout).contains("python"), "{:?}", info());

    // Damaged in three ways, each of them noticed.
    let whole = fs::read(&cached).expect("read");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&cached, &flipped).expect("written");
    assert_eq!(info().status.code(), Some(1));
    fs::write(&cached, &whole).expect("written");
    fs::set_permissions(&cached, Permissions::from_mode(0o666)).expect("changed");
    assert_eq!(info().status.code(), Some(1));
    fs::set_permissions(&cached, Permissions::from_mode(0o600)).expect("changed");
    assert_eq!(info().status.code(), Some(0));
    fs::write(&cached, &whole[..whole.len() / 2]).expect("written");
    assert_eq!(info().status.code(), Some(1));

    let both = [(); 2].map(|()| start(&["image", "build"], &environment));
    let built = both
        .map(|child| child.wait_with_output().expect("an output"))
        .map(|output| {
            assert!(output.status.success(), "{}", text(&output.stderr));
            text(&output.stderr).contains("compiling")
        })
        .into_iter()
        .filter(|&built| built)
        .count();
    assert_eq!(built, 1);
    assert_eq!(info().status.code(), Some(0));
}

fn a_cache_that_cannot_be_used_says_why(_: &Rabbit) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let output = command(&["image", "build"], &[("ROH_CACHE_DIR", &file.join("cache"))]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("ROH_CACHE_DIR"), "{}", text(&output.stderr));

    let open = folder.path().join("open");
    fs::create_dir(&open).expect("made");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("changed");
    let output = command(&["image", "build"], &[("ROH_CACHE_DIR", &open)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("others may write"), "{}", text(&output.stderr));
}

fn a_guest_that_is_missing_or_no_guest_says_what_to_do(_: &Rabbit) {
    let folder = tempfile::tempdir().expect("a folder");
    let guest = folder.path().join("guest.wasm");
    let build = || {
        let environment = [("ROH_GUEST", guest.as_path()), ("ROH_CACHE_DIR", folder.path())];
        command(&["image", "build"], &environment)
    };
    let missing = build();
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("just guest"), "{}", text(&missing.stderr));
    fs::write(&guest, "not wasm").expect("written");
    let foreign = build();
    assert_eq!(foreign.status.code(), Some(2));
    assert!(text(&foreign.stderr).contains("guest.wasm"), "{}", text(&foreign.stderr));
    // A module that boots and speaks version 99.
    let other = r#"(module (memory (export "memory") 1)
        (func (export "roh_abi_version") (result i32) (i32.const 99))
        (func (export "roh_boot")))"#;
    fs::write(&guest, wat::parse_str(other).expect("valid text")).expect("written");
    let other = build();
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("version 99"), "{}", text(&other.stderr));
}

fn the_guest_imports_what_is_listed_and_nothing_else(_: &Rabbit) {
    // A unit test holds what the sandbox implements against the same list.
    let listed = include_str!("../../host/src/sandbox/imports.txt");
    let module = fs::read(guest()).expect("a guest");
    let mut imported = BTreeSet::new();
    for part in Parser::new(0).parse_all(&module) {
        if let Payload::ImportSection(imports) = part.expect("WebAssembly") {
            for import in imports.into_imports() {
                let import = import.expect("an import");
                imported.insert(format!("{} {}", import.module, import.name));
            }
        }
    }
    assert_eq!(imported, listed.lines().map(str::to_owned).collect());
}
