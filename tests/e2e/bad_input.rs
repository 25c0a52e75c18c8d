//! What is wrong with a message is said to its sender, kept with the dead letters, and
//! blocks nobody.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use roh_tests::daemon::{Daemon, Settings};
use roh_tests::rabbit::Rabbit;
use serde_json::{Value, json};

use crate::amqp::{Client, header, run, unique};
use crate::daemon::ask;

crate::tests![
    malformed_messages_are_answered_and_kept,
    scripts_that_fail_are_answered_with_pythons_own_words,
    failures_without_a_reply_address_are_kept,
    a_redelivered_message_is_run,
    headers_that_fit_no_frame_of_ours_are_left_out,
];

fn inline(script: &str) -> Vec<u8> {
    json!({ "script": script }).to_string().into_bytes()
}

fn malformed_messages_are_answered_and_kept(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("malformed"));
    let _daemon = Daemon::start(&settings);
    let too_long = inline(&"#".repeat(2 << 20));
    for (body, expected) in [
        (&b"not JSON"[..], "body is not JSON"),
        (b"\xff\xfe", "body is not UTF-8"),
        (b"", "body is not JSON"),
        (b"[1, 2]", "body is not a JSON object"),
        (br#"{"args": []}"#, "neither \"task\" nor \"script\""),
        (br#"{"task": "a.b", "arg": 1}"#, "unknown field `arg`"),
        (br#"{"task": "a.b", "args": {}}"#, "args is not an array"),
        (br#"{"task": "../etc/passwd.x"}"#, "not of the form"),
        (br#"{"task": "no_such_module.main"}"#, "no_such_module"),
        (&too_long, "more than the limit"),
    ] {
        let reply = ask(rabbit, &settings.exchange, body, BasicProperties::default());
        assert_eq!(reply["status"], "invalid", "{reply}");
        let message = reply["error"]["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        run(async {
            let client = Client::connect(rabbit).await;
            let letter = client.take(&settings.dead).await.delivery;
            assert_eq!(letter.data, body);
            assert_eq!(header(&letter.properties, "x-roh-status").as_deref(), Some("invalid"));
            let reason = header(&letter.properties, "x-roh-reason").expect("a reason");
            assert!(reason.contains(expected), "{reason:?} lacks {expected:?}");
            client.close().await;
        });
    }
    let of = BasicProperties::default().with_content_type("application/x-python-serialize".into());
    let reply = ask(rabbit, &settings.exchange, &inline("def main(): pass"), of);
    assert_eq!(reply["status"], "invalid", "{reply}");
}

fn scripts_that_fail_are_answered_with_pythons_own_words(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("failing"));
    let _daemon = Daemon::start(&settings);
    for (script, kind, message) in [
        ("def main(x):\n    return x\n", "TypeError", "missing 1 required positional argument"),
        ("def main():\n    return {1, 2}\n", "TypeError", "set"),
        ("def main():\n    return float('nan')\n", "ValueError", ""),
        ("def main():\n    a = []\n    a.append(a)\n    return a\n", "ValueError", ""),
        ("def main():\n    raise KeyError('k')\n", "KeyError", "'k'"),
        ("def main(:\n", "SyntaxError", ""),
        ("import no_such_module\ndef main(): pass\n", "ModuleNotFoundError", "no_such_module"),
    ] {
        let of = BasicProperties::default();
        let reply = ask(rabbit, &settings.exchange, &inline(script), of);
        assert_eq!(reply["status"], "failed", "{reply}");
        assert_eq!(reply["error"]["type"], kind, "{reply}");
        let said = reply["error"]["message"].as_str().expect("a message");
        assert!(said.contains(message), "{said:?} lacks {message:?}");
    }
    // More than the result may have, and more than the memory holds.
    let of = BasicProperties::default();
    let script = "def main():\n    return 'x' * 100_000_000\n";
    let reply = ask(rabbit, &settings.exchange, &inline(script), of);
    let ended = reply["status"].as_str().expect("a status");
    assert!(["failed", "out-of-memory"].contains(&ended), "{reply}");
    // Whatever those were, the next one runs.
    let of = BasicProperties::default();
    let reply = ask(rabbit, &settings.exchange, &inline("def main(): return 1\n"), of);
    assert_eq!(reply["result"], Value::from(1), "{reply}");
}

fn failures_without_a_reply_address_are_kept(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("kept"));
    let _daemon = Daemon::start(&settings);
    run(async {
        let client = Client::connect(rabbit).await;
        let body = inline("def main():\n    raise ValueError('bad')\n");
        let of = BasicProperties::default().with_message_id("m".into());
        client.publish(&settings.exchange, "", &body, of).await;
        let letter = client.take(&settings.dead).await.delivery;
        assert_eq!(letter.data, body);
        assert_eq!(letter.properties.message_id(), &Some("m".into()));
        for (name, value) in [
            ("x-roh-status", "failed"),
            ("x-roh-reason", "ValueError: bad"),
            ("x-roh-node", "node-a"),
            ("x-roh-queue", settings.queue.as_str()),
        ] {
            assert_eq!(header(&letter.properties, name).as_deref(), Some(value), "{name}");
        }
    });
}

fn a_redelivered_message_is_run(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("redelivered"));
    run(async {
        let client = Client::connect(rabbit).await;
        client.queue(&settings.queue, false, Default::default()).await;
        let replies = client.reply_queue().await;
        let of = BasicProperties::default().with_reply_to(replies.as_str().into());
        client.publish("", &settings.queue, &inline("def main(): return 1\n"), of).await;
        // Taken, and given back by the end of the connection.
        let other = Client::connect(rabbit).await;
        let taken = other.channel.basic_get(settings.queue.as_str().into(), Default::default());
        assert!(taken.await.unwrap().is_some());
        other.close().await;
        client.await_count(&settings.queue, (1, 0)).await;
        let _daemon = tokio::task::block_in_place(|| Daemon::start(&settings));
        let reply: Value =
            serde_json::from_slice(&client.take(&replies).await.delivery.data).unwrap();
        assert_eq!(reply["result"], 1, "{reply}");
    });
}

/// The client's frames are RabbitMQ's usual ones, of 128 KiB; RabbitMQ hands headers on whatever the
/// next one's are.
fn headers_that_fit_no_frame_of_ours_are_left_out(rabbit: &Rabbit) {
    let url = format!("{}/?frame_max=8192", rabbit.url());
    let settings = Settings::new("node-a", &url, &unique("frames"));
    let _daemon = Daemon::start(&settings);
    let with_headers = |bytes: usize| {
        let mut headers = FieldTable::default();
        headers.insert("long".into(), AMQPValue::LongString("x".repeat(bytes).into()));
        BasicProperties::default().with_headers(headers)
    };
    let reply = ask(
        rabbit,
        &settings.exchange,
        &inline("def main():\n    return 1\n"),
        with_headers(100_000),
    );
    assert_eq!(reply["result"], 1, "{reply}");
    // What came to us fits no more with ours added.
    for (bytes, stay) in [(3_000, true), (5_000, false), (100_000, false)] {
        run(async {
            let client = Client::connect(rabbit).await;
            let body = inline("def main():\n    raise ValueError('z' * 10_000)\n");
            client.publish(&settings.exchange, "", &body, with_headers(bytes)).await;
            let letter = client.take(&settings.dead).await.delivery;
            let headers = letter.properties.headers().as_ref().expect("headers").inner();
            assert_eq!(headers.contains_key("long"), stay, "{bytes}");
            assert_eq!(headers.contains_key("x-roh-headers-left-out"), !stay, "{bytes}");
            let reason = header(&letter.properties, "x-roh-reason").expect("a reason");
            assert!(reason.starts_with("ValueError: zzz"), "{reason}");
            client.close().await;
        });
    }
}
