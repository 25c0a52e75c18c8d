//! `roh run` and the examples: no broker.

use std::collections::BTreeSet;
use std::path::Path;

use roh_tests::daemon::command;
use roh_tests::process::workspace;
use roh_tests::rabbit::Rabbit;
use serde_json::{Value, json};

crate::tests![
    hello_prints_one_reply_object,
    an_endless_loop_ends_at_its_cpu_limit,
    a_memory_bomb_ends_at_its_memory_limit,
    the_least_memory_is_enough_for_small_tasks,
    the_examples_do_what_they_say,
    misbehaving_ends_as_it_should,
    what_is_random_differs_between_tasks,
    python_is_as_its_users_know_it,
    exceptions_come_back_as_they_are,
    results_that_are_not_json_fail,
    wrong_usage_exits_2,
    people_get_the_output_and_the_result,
];

/// Runs `roh run` on an example, and returns its reply with its exit code.
fn run(file: &str, arguments: &[&str]) -> (Value, i32) {
    let path = workspace().join("examples").join(file);
    run_file(&path, arguments)
}

fn run_file(path: &Path, arguments: &[&str]) -> (Value, i32) {
    let path = path.to_str().expect("UTF-8");
    let output = command(&[&["run", path, "--json"], arguments].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let errors = String::from_utf8_lossy(&output.stderr);
    let reply = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?} {errors}"));
    (reply, output.status.code().expect("no signal"))
}

/// Runs the function `main` of a script made for it.
fn run_script(source: &str, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made.py");
    std::fs::write(&path, source).expect("written");
    run_file(&path, arguments).0
}

fn hello_prints_one_reply_object(_: &Rabbit) {
    let (reply, code) = run("hello.py", &[]);
    assert_eq!(code, 0, "{reply}");
    assert_eq!(reply["status"], "succeeded");
    assert_eq!(reply["result"], "Hello, world!");
    assert_eq!(reply["stdout"], "greeting world\n");
    let keys: BTreeSet<&str> = reply.as_object().expect("one").keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "node", "result", "status", "stderr", "stdout", "usage"].into());
}

fn an_endless_loop_ends_at_its_cpu_limit(_: &Rabbit) {
    let (reply, code) = run("misbehave.py", &["--function", "endless_loop", "--cpu", "1s"]);
    assert_eq!((code, &reply["status"]), (1, &json!("timeout")), "{reply}");
    assert_eq!(reply["error"]["message"], "cpu limit of 1s reached");
    let cpu = reply["usage"]["cpu_ms"].as_f64().expect("a number");
    assert!((1000.0..1500.0).contains(&cpu), "{reply}");
}

fn a_memory_bomb_ends_at_its_memory_limit(_: &Rabbit) {
    let (reply, code) = run("misbehave.py", &["--function", "memory_bomb", "--memory", "64MiB"]);
    assert_eq!((code, &reply["status"]), (1, &json!("out-of-memory")), "{reply}");
    // Small objects end in another way: an allocation that can't fail.
    let small = "def main():\n    hoard = []\n    while True:\n        hoard.append(object())\n";
    assert_eq!(run_script(small, &[])["status"], "out-of-memory");
    // A script's own MemoryError is its own failure.
    let raised = run_script("def main():\n    raise MemoryError('mine')\n", &[]);
    assert_eq!(
        (&raised["status"], &raised["error"]["message"]),
        (&json!("failed"), &json!("mine"))
    );
}

fn the_least_memory_is_enough_for_small_tasks(_: &Rabbit) {
    let source = "import decimal\n\ndef main():\n    return len([str(i) for i in range(20000)])\n";
    let reply = run_script(source, &["--memory", "48MiB"]);
    assert_eq!(reply["result"], 20_000, "{reply}");
}

fn the_examples_do_what_they_say(_: &Rabbit) {
    let result = |file: &str, arguments: &[&str]| {
        let (reply, code) = run(file, arguments);
        assert_eq!(code, 0, "{reply}");
        reply["result"].clone()
    };
    let basket = r#"[{"items": [{"sku": "T1", "quantity": 12, "unit": 250}], "since": 2019}]"#;
    assert_eq!(
        result("pricing.py", &["--function", "price", "--args", basket]),
        json!({"subtotal": 3000, "total": 2668,
               "rebates": {"every twelfth free": 250, "loyal customer, 3 %": 82}})
    );
    let words = result("words.py", &["--function", "analyse", "--args", r#"[["a cat", "Cats!"]]"#]);
    assert_eq!(words["words"], 3);
    let pipeline = result("pipeline.py", &["--args", r#"[["a", "bb"]]"#]);
    assert_eq!(pipeline["all_at_once"], true);
    let lines = r#"[[["tea", 2, "3.50"]], "DE"]"#;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("through.py");
    let package = workspace().join("examples/shop");
    std::os::unix::fs::symlink(&package, folder.path().join("shop")).expect("linked");
    std::fs::write(&path, "from shop.invoice import total as main\n").expect("written");
    // The link leads out of the folder.
    assert_eq!(run_file(&path, &["--args", lines]).0["error"]["type"], "ImportError");
    std::fs::remove_file(folder.path().join("shop")).expect("removed");
    copy(&package, &folder.path().join("shop"));
    assert_eq!(
        run_file(&path, &["--args", lines]).0["result"],
        json!({"net": "7.00", "tax": "1.33", "gross": "8.33"})
    );
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in from.read_dir().expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

fn misbehaving_ends_as_it_should(_: &Rabbit) {
    for (function, status, kind) in [
        ("read_a_file", "failed", "FileNotFoundError"),
        ("start_a_program", "failed", "ModuleNotFoundError"),
        ("call_home", "failed", "OSError"),
        ("swallow_everything", "timeout", "TimeoutError"),
        ("print_forever", "timeout", "TimeoutError"),
        ("nothing_of_that_name", "invalid", "Invalid"),
    ] {
        let (reply, code) =
            run("misbehave.py", &["--function", function, "--cpu", "500ms", "--output", "1KiB"]);
        assert_eq!((code, &reply["status"]), (1, &json!(status)), "{function}: {reply}");
        assert_eq!(reply["error"]["type"], kind, "{function}: {reply}");
        assert!(reply["stdout"].as_str().expect("text").len() <= 1024, "{function}");
    }
    assert_eq!(
        run("misbehave.py", &["--function", "look_around"]).0["result"],
        json!({"environment": {}})
    );
}

fn what_is_random_differs_between_tasks(_: &Rabbit) {
    let source = "\
import random, secrets, uuid
from random import randint
AT_LOAD = random.random()
def main():
    return [AT_LOAD, random.random(), randint(0, 10**18), random.Random().random(),
            str(uuid.uuid4()), secrets.token_hex(8), random.SystemRandom().random()]
";
    let (first, second) = (run_script(source, &[]), run_script(source, &[]));
    let values = |reply: &Value| reply["result"].as_array().expect("a list").clone();
    for (i, (a, b)) in values(&first).iter().zip(&values(&second)).enumerate() {
        assert_ne!(a, b, "value {i}");
    }
}

fn python_is_as_its_users_know_it(_: &Rabbit) {
    for (source, expected) in [
        (
            "import json, re, math, decimal, datetime, hashlib, zlib, csv, dataclasses, typing\n\
             import logging, collections, itertools, functools, statistics, string, textwrap\n\
             import base64, enum, uuid, xml.etree.ElementTree, zoneinfo, bz2, lzma, email\n\
             def main(): return json.dumps({'a': [1, 2.5, None]})\n",
            json!("{\"a\": [1, 2.5, null]}"),
        ),
        (
            "import asyncio\n\
             async def wait(n):\n    await asyncio.sleep(0.01 * n)\n    return n\n\
             async def both():\n    return await asyncio.gather(wait(3), wait(1))\n\
             def main():\n    return asyncio.run(both())\n",
            json!([3, 1]),
        ),
        ("async def main(x=7):\n    return x\n", json!(7)),
        ("import time\ndef main():\n    time.sleep(0.01)\n    return 1\n", json!(1)),
        ("def main():\n    return __name__ != '__main__'\n", json!(true)),
        (
            "def main():\n    return {1: 'a', True: 'b', None: 'c', 2.5: 'd'}\n",
            json!({"1": "b", "null": "c", "2.5": "d"}),
        ),
        ("def main():\n    return (1, [2, (3,)])\n", json!([1, [2, [3]]])),
        ("class S(str): pass\ndef main():\n    return S('x')\n", json!("x")),
        (
            "import threading\ndef main():\n    seen = []\n    \
             t = threading.Thread(target=seen.append, args=(1,))\n    \
             t.start(); t.join()\n    return seen\n",
            json!([1]),
        ),
    ] {
        let reply = run_script(source, &[]);
        assert_eq!(reply["result"], expected, "{source}\n{reply}");
    }
    // Whole numbers of any size go in and come out exactly.
    let source = "def main(x):\n    return [x + 1, 2**100]\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("big.py");
    std::fs::write(&path, source).expect("written");
    let path = path.to_str().expect("UTF-8");
    let output = command(&["run", path, "--args", "[123456789012345678901234567890]"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "[123456789012345678901234567891,1267650600228229401496703205376]\n"
    );
}

fn exceptions_come_back_as_they_are(_: &Rabbit) {
    for (source, kind, message, traceback) in [
        (
            "def main():\n    def inner():\n        raise ValueError('bad')\n    inner()\n",
            "ValueError",
            "bad",
            "File \"made.py\", line 3, in inner\n    raise ValueError('bad')",
        ),
        ("def main(:\n", "SyntaxError", "", "File \"made.py\", line 1"),
        (
            "import nowhere\ndef main(): pass\n",
            "ModuleNotFoundError",
            "No module named 'nowhere'",
            "File \"made.py\", line 1",
        ),
        (
            "def main(x): pass\n",
            "TypeError",
            "main() missing 1 required positional argument: 'x'",
            "",
        ),
        ("import sys\ndef main(): sys.exit(3)\n", "SystemExit", "3", ""),
        ("import sqlite3\n", "ModuleNotFoundError", "not available inside ROH's sandbox", ""),
        ("import ssl\n", "ModuleNotFoundError", "not available inside ROH's sandbox", ""),
        ("def main():\n    return main()\n", "RecursionError", "recursion depth", ""),
        (
            "def main():\n    x = []\n    for _ in range(100000): x = [x]\n    return repr(x)\n",
            "RecursionError",
            "recursion depth",
            "",
        ),
        (
            "class Odd(Exception):\n    def __str__(self): raise RuntimeError('no')\n\
          def main(): raise Odd()\n",
            "made.Odd",
            "",
            "line 3, in main",
        ),
        ("raise KeyError('at load')\n", "KeyError", "'at load'", "File \"made.py\", line 1"),
    ] {
        let reply = run_script(source, &[]);
        let text = |key: &str| reply["error"][key].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply["status"], "failed", "{source}\n{reply}");
        assert_eq!(text("type"), kind, "{source}\n{reply}");
        assert!(text("message").contains(message), "{source}\n{reply}");
        assert!(text("traceback").contains(traceback), "{source}\n{}", text("traceback"));
        assert!(!text("traceback").contains("importlib"), "{source}\n{}", text("traceback"));
    }
}

fn results_that_are_not_json_fail(_: &Rabbit) {
    for (value, kind, message) in [
        ("{1, 2}", "TypeError", "set"),
        ("{'rows': [1, {2}]}", "TypeError", "result[\"rows\"][1] is a set"),
        ("b'x'", "TypeError", "bytes"),
        ("object()", "TypeError", "object"),
        ("float('nan')", "ValueError", "nan"),
        ("float('inf')", "ValueError", "inf"),
        ("(lambda a: a.append(a) or a)([])", "ValueError", "itself"),
        ("'\\ud800'", "ValueError", "surrogate"),
        ("{(1, 2): 3}", "TypeError", "tuple"),
        ("'x' * 2_000_000", "ValueError", "1048576 bytes"),
    ] {
        let reply = run_script(&format!("def main():\n    return {value}\n"), &[]);
        assert_eq!(reply["status"], "failed", "{value}: {reply}");
        assert_eq!(reply["error"]["type"], kind, "{value}: {reply}");
        let said = reply["error"]["message"].as_str().expect("text");
        assert!(said.contains(message), "{value}: {said}");
    }
}

fn wrong_usage_exits_2(_: &Rabbit) {
    let hello = workspace().join("examples/hello.py");
    let hello = hello.to_str().expect("UTF-8");
    for (arguments, expected) in [
        (vec!["run"], "FILE"),
        (vec!["run", "no-such-file.py"], "no-such-file.py"),
        (vec!["run", hello, "--args", "{}"], "array"),
        (vec!["run", hello, "--memory", "1MiB"], "--memory"),
        (vec!["run", hello, "--cpu", "soon"], "--cpu"),
        (vec!["serve", "--config", "no-such-file.toml"], "no-such-file.toml"),
        (vec!["status", "--url", "http://127.0.0.1:1"], "127.0.0.1:1"),
    ] {
        let output = command(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

fn people_get_the_output_and_the_result(_: &Rabbit) {
    let hello = workspace().join("examples/hello.py");
    let output = command(&["run", hello.to_str().expect("UTF-8"), "--args", r#"["you"]"#]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "greeting you\n\"Hello, you!\"\n");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
