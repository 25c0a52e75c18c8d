//! The broker module against a real broker, with a manager that does as it is told:
//! deliveries arrive, and each kind of settlement does what it says.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use roh::broker::client::{self, State, Submission, Submitted, Wait};
use roh::broker::{Delivery, Outbox};
use roh::config;
use roh::grants::{Publication, Publish, PublishError};
use roh::manager::settlement::{DeadLetter, Settlement};
use roh::outcome::Outcome;
use roh::task::{Task, TaskId, TenantName};
use roh_tests::clients::publish_odd;
use roh_tests::rabbit::Rabbit;
use serde_json::Value;

use crate::amqp::{Client, SOON, header, run, table, text};
use crate::node::{Arrival, Node, TASK, config, failed, finish, settle, succeeded};

crate::tests![
    replies_and_then_acks,
    dead_letters_say_why_and_keep_the_message,
    malformed_messages_are_passed_on_as_refused,
    properties_that_are_not_text_are_refused,
    retries_count_attempts,
    retries_go_to_no_other_queue,
    requeued_tasks_are_delivered_again,
    replies_reach_direct_reply_to,
    failures_are_dead_lettered_if_nobody_awaits_the_reply,
    replies_that_a_queue_refuses_are_dead_lettered,
    returned_replies_are_told_from_those_that_arrive,
    dead_letters_of_other_users_are_accepted,
    headers_of_any_size_are_dead_lettered,
    each_queue_of_an_exchange_gets_a_copy,
    holds_no_more_than_the_prefetch_count,
    stops_consuming_and_gives_back_what_is_unsettled,
    submits_and_checks,
    what_scripts_publish_arrives_or_is_refused,
];

fn plain() -> BasicProperties {
    BasicProperties::default()
}

/// Starts a node, publishes one task with these properties to it, and takes it.
async fn with_task(
    rabbit: &Rabbit,
    name: &str,
    of: BasicProperties,
) -> (Client, Node, Task, Delivery) {
    let client = Client::connect(rabbit).await;
    let mut node = Node::start(config(&rabbit.url(), name)).await;
    client.publish(&node.source().exchange, "", TASK, of).await;
    let (task, delivery) = node.next_task().await;
    (client, node, task, delivery)
}

/// Leaves, and insists that nothing is left of the node's tasks.
async fn leave_nothing(client: &Client, node: Node) {
    let queue = node.source().queue.clone();
    node.leave().await;
    client.await_count(&queue, (0, 0)).await;
}

fn replies_and_then_acks(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "reply")).await;
        let queue = client.reply_queue().await;
        let of = plain()
            .with_message_id("task-1".into())
            .with_correlation_id("question-1".into())
            .with_reply_to(queue.as_str().into());
        client.publish(&node.source().exchange, "", TASK, of).await;
        let (task, delivery) = node.next_task().await;
        assert_eq!(task.envelope.id.as_str(), "task-1");
        assert_eq!(&*task.envelope.queue, node.source().queue);
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let reply = client.take(&queue).await;
        let of = &reply.delivery.properties;
        assert_eq!(of.correlation_id(), &Some("question-1".into()));
        assert_eq!(of.message_id(), &Some("task-1".into()));
        assert_eq!(of.content_type(), &Some("application/json".into()));
        assert_eq!(of.delivery_mode(), &Some(2));
        let body: Value = serde_json::from_slice(&reply.delivery.data).unwrap();
        assert_eq!(body["result"], 42);
        assert_eq!(body["node"], "node-a");
        assert_eq!(client.count(node.dead()).await.0, 0);
        leave_nothing(&client, node).await;
    });
}

fn dead_letters_say_why_and_keep_the_message(rabbit: &Rabbit) {
    run(async {
        let of = plain()
            .with_message_id("m".into())
            .with_expiration("600000".into())
            .with_headers(table([("trace", text("t"))]));
        let (client, node, task, delivery) = with_task(rabbit, "dead", of).await;
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        let letter = client.take(node.dead()).await.delivery;
        assert_eq!(letter.data, TASK);
        let of = &letter.properties;
        assert_eq!(of.message_id(), &Some("m".into()));
        assert_eq!(of.expiration(), &None);
        for (name, value) in [
            ("x-roh-status", "failed"),
            ("x-roh-reason", "ValueError: bad"),
            ("x-roh-node", "node-a"),
            ("x-roh-queue", &node.source().queue),
            ("x-roh-expiration", "600000"),
            ("trace", "t"),
        ] {
            assert_eq!(header(of, name).as_deref(), Some(value), "{name}");
        }
        leave_nothing(&client, node).await;
    });
}

fn malformed_messages_are_passed_on_as_refused(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "refused")).await;
        client.publish(&node.source().exchange, "", b"\xff", plain()).await;
        let Arrival::Refused(refused, delivery) = node.next().await else { panic!("a task") };
        let outcome = Outcome::Invalid(refused.reason.0.clone());
        settle(delivery, &refused.envelope, &finish(outcome, DeadLetter::Yes)).await;
        let letter = client.take(node.dead()).await.delivery;
        assert_eq!(letter.data, b"\xff");
        let reason = header(&letter.properties, "x-roh-reason").unwrap();
        assert!(reason.contains("not UTF-8"), "{reason}");
        leave_nothing(&client, node).await;
    });
}

fn properties_that_are_not_text_are_refused(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "odd")).await;
        let replies = client.reply_queue().await;
        let exchange = node.source().exchange.clone();
        tokio::task::block_in_place(|| publish_odd(&rabbit.url(), &exchange, &replies));
        let Arrival::Refused(refused, delivery) = node.next().await else { panic!("a task") };
        assert_eq!(refused.reason.0, "message-id is not UTF-8");
        let outcome = Outcome::Invalid(refused.reason.0.clone());
        settle(delivery, &refused.envelope, &finish(outcome, DeadLetter::Yes)).await;
        let reply = client.take(&replies).await.delivery;
        assert_eq!(reply.properties.correlation_id(), &Some("question".into()));
        assert_eq!(client.count(node.dead()).await.0, 1);
        leave_nothing(&client, node).await;
    });
}

fn retries_count_attempts(rabbit: &Rabbit) {
    run(async {
        let of = plain().with_message_id("again".into());
        let (client, mut node, mut task, mut delivery) = with_task(rabbit, "retry", of).await;
        for attempt in 1..=3 {
            assert_eq!(task.envelope.attempt, attempt);
            assert_eq!(task.envelope.id.as_str(), "again");
            let retry = Settlement::Retry { reason: "trap".into() };
            settle(delivery, &task.envelope, &retry).await;
            (task, delivery) = node.next_task().await;
        }
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        leave_nothing(&client, node).await;
    });
}

fn retries_go_to_no_other_queue(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "cc")).await;
        let other = client.reply_queue().await;
        let also = AMQPValue::FieldArray(vec![text(&other)].into());
        let of = plain().with_headers(table([("CC", also.clone()), ("BCC", also)]));
        client.publish("", &node.source().queue.clone(), TASK, of).await;
        let copies = client.count(&other).await.0;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &Settlement::Retry { reason: "trap".into() }).await;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        let letter = client.take(node.dead()).await.delivery;
        assert!(header(&letter.properties, "x-roh-cc").is_some());
        assert_eq!(client.count(&other).await.0, copies);
        leave_nothing(&client, node).await;
    });
}

fn requeued_tasks_are_delivered_again(rabbit: &Rabbit) {
    run(async {
        let (client, mut node, task, delivery) = with_task(rabbit, "requeue", plain()).await;
        settle(delivery, &task.envelope, &Settlement::Requeue).await;
        let (task, delivery) = node.next_task().await;
        assert_eq!(task.envelope.attempt, 1);
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        leave_nothing(&client, node).await;
    });
}

fn replies_reach_direct_reply_to(rabbit: &Rabbit) {
    run(async {
        use futures_util::StreamExt;
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "direct")).await;
        let options = lapin::options::BasicConsumeOptions { no_ack: true, ..Default::default() };
        let queue = "amq.rabbitmq.reply-to";
        let mut replies = client
            .channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await
            .unwrap();
        client
            .publish(&node.source().exchange, "", TASK, plain().with_reply_to(queue.into()))
            .await;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let reply = tokio::time::timeout(SOON, replies.next()).await.unwrap().unwrap().unwrap();
        let body: Value = serde_json::from_slice(&reply.data).unwrap();
        assert_eq!(body["status"], "succeeded");
        leave_nothing(&client, node).await;
    });
}

fn failures_are_dead_lettered_if_nobody_awaits_the_reply(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "vanished")).await;
        // The last two are the broker's own names, and belong to nobody.
        for queue in [
            "no-such-queue",
            "amq.rabbitmq.reply-to.g1h2AAhyZXBseUAwAAAAAAAAAAAAAAAA.x",
            "amq.rabbitmq.reply-to.garbage",
        ] {
            for (outcome, dead_letter, kept) in
                [(succeeded(), DeadLetter::No, false), (failed(), DeadLetter::UnlessReplied, true)]
            {
                let of = plain().with_reply_to(queue.into());
                client.publish(&node.source().exchange, "", TASK, of).await;
                let (task, delivery) = node.next_task().await;
                settle(delivery, &task.envelope, &finish(outcome, dead_letter)).await;
                if kept {
                    let letter = client.take(node.dead()).await.delivery;
                    let status = header(&letter.properties, "x-roh-status");
                    assert_eq!(status.as_deref(), Some("failed"), "{queue}");
                }
                assert_eq!(client.count(node.dead()).await.0, 0, "{queue}");
            }
        }
        leave_nothing(&client, node).await;
    });
}

fn replies_that_a_queue_refuses_are_dead_lettered(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "full")).await;
        let full = table([
            ("x-max-length", AMQPValue::LongInt(0)),
            ("x-overflow", text("reject-publish")),
        ]);
        let full = client.queue("", true, full).await;
        let of = plain().with_reply_to(full.as_str().into());
        client.publish(&node.source().exchange, "", TASK, of).await;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let letter = client.take(node.dead()).await.delivery;
        let reason = header(&letter.properties, "x-roh-reason").unwrap();
        assert_eq!(reason, "reply refused: refused by the queue");
        leave_nothing(&client, node).await;
    });
}

/// With many publications in flight, the broker's answers come mixed and in bulk.
fn returned_replies_are_told_from_those_that_arrive(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut config = config(&rabbit.url(), "mixed");
        config.manager.waiting_limit = 400;
        let mut node = Node::start(config).await;
        let queue = client.reply_queue().await;
        let mut settling = tokio::task::JoinSet::new();
        for number in 0..200 {
            let to = if number % 2 == 0 { queue.as_str() } else { "no-such-queue" };
            let id = number.to_string();
            let of = plain().with_message_id(id.as_str().into()).with_reply_to(to.into());
            client.publish(&node.source().exchange, "", TASK, of).await;
            let (task, delivery) = node.next_task().await;
            settling.spawn(async move {
                settle(delivery, &task.envelope, &finish(failed(), DeadLetter::UnlessReplied))
                    .await;
            });
        }
        settling.join_all().await;
        let mut odd = Vec::new();
        for _ in 0..100 {
            let letter = client.take(node.dead()).await.delivery;
            let id = letter.properties.message_id().clone().unwrap();
            odd.push(id.as_str().parse::<u32>().unwrap());
        }
        odd.sort_unstable();
        assert_eq!(odd, (0..200).filter(|number| number % 2 == 1).collect::<Vec<_>>());
        assert_eq!(client.count(node.dead()).await.0, 0);
        assert_eq!(client.count(&queue).await.0, 100);
        leave_nothing(&client, node).await;
    });
}

fn dead_letters_of_other_users_are_accepted(rabbit: &Rabbit) {
    rabbit.ctl(&["add_user", "alice", "secret"]).unwrap();
    rabbit.ctl(&["set_permissions", "alice", ".*", ".*", ".*"]).unwrap();
    run(async {
        let mut node = Node::start(config(&rabbit.url(), "user")).await;
        let url = rabbit.url().replace("guest:guest", "alice:secret");
        let client = Client::connect_to(&url).await;
        let of = plain().with_user_id("alice".into());
        client.publish(&node.source().exchange, "", TASK, of).await;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &Settlement::Retry { reason: "trap".into() }).await;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        let letter = client.take(node.dead()).await.delivery;
        assert_eq!(header(&letter.properties, "x-roh-user-id").as_deref(), Some("alice"));
        leave_nothing(&client, node).await;
    });
}

fn headers_of_any_size_are_dead_lettered(rabbit: &Rabbit) {
    run(async {
        // As much as one frame of 128 KiB holds.
        let big = "x".repeat(130_900);
        let of = plain().with_headers(table([("big", text(&big))]));
        let (client, node, task, delivery) = with_task(rabbit, "big", of).await;
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        let letter = client.take(node.dead()).await.delivery;
        assert_eq!(header(&letter.properties, "x-roh-status").as_deref(), Some("failed"));
        assert_eq!(header(&letter.properties, "big"), None);
        leave_nothing(&client, node).await;
    });
}

fn each_queue_of_an_exchange_gets_a_copy(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut config = config(&rabbit.url(), "copies");
        let mut second = config.sources[0].clone();
        second.queue += ".second";
        second.tenant = TenantName::new("other");
        second.nowait = true;
        second.routing_key = "any".into();
        config.sources.push(second);
        let mut node = Node::start(config).await;
        client.publish(&node.source().exchange, "", TASK, plain()).await;
        let mut tenants = Vec::new();
        for _ in 0..2 {
            let (task, delivery) = node.next_task().await;
            tenants.push(task.envelope.tenant.to_string());
            settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        }
        tenants.sort();
        assert_eq!(tenants, ["default", "other"]);
        let second = node.config.sources[1].queue.clone();
        leave_nothing(&client, node).await;
        client.await_count(&second, (0, 0)).await;
    });
}

fn holds_no_more_than_the_prefetch_count(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut config = config(&rabbit.url(), "prefetch");
        (config.manager.watermark, config.manager.waiting_limit) = (1, 0);
        let mut node = Node::start(config).await;
        for _ in 0..3 {
            client.publish(&node.source().exchange, "", TASK, plain()).await;
        }
        for left in [2, 1, 0] {
            let (task, delivery) = node.next_task().await;
            client.await_count(&node.source().queue, (left, 1)).await;
            assert!(node.arrivals.try_recv().is_err());
            settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        }
        leave_nothing(&client, node).await;
    });
}

fn stops_consuming_and_gives_back_what_is_unsettled(rabbit: &Rabbit) {
    run(async {
        let (client, mut node, _, held) = with_task(rabbit, "stop", plain()).await;
        let queue = node.source().queue.clone();
        node.await_connected(true).await;
        node.stop_consuming.cancel();
        client.await_count(&queue, (0, 0)).await;
        client.publish(&node.source().exchange, "", TASK, plain()).await;
        client.await_count(&queue, (1, 0)).await;
        // Held as long as the node is there, and again in its queue afterwards.
        node.leave().await;
        client.await_count(&queue, (2, 0)).await;
        drop(held);
    });
}

fn submits_and_checks(rabbit: &Rabbit) {
    run(async {
        let config = config(&rabbit.url(), "submit");
        let findings = client::check(&config).await.unwrap();
        assert_eq!(findings.len(), 4);
        assert!(findings.iter().all(|finding| finding.state == State::Missing), "{findings:?}");
        let submission = |wait| Submission {
            id: TaskId::parse("submitted").unwrap(),
            body: String::from_utf8(TASK.to_vec()).unwrap(),
            wait,
        };
        let url = rabbit.url();
        let error = client::submit(&url, &config.sources[0], &submission(Wait::No)).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("no exchange"), "{text}");

        let mut node = Node::start(config).await;
        let source = node.source().clone();
        let queued = client::submit(&url, &source, &submission(Wait::No)).await.unwrap();
        assert_eq!(queued, Submitted::Queued);
        let (task, delivery) = node.next_task().await;
        assert!(task.envelope.reply.is_none());
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let none = client::submit(&url, &source, &submission(Wait::For(Duration::ZERO))).await;
        assert_eq!(none.unwrap(), Submitted::NoReply);
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let waiting = tokio::spawn(async move {
            client::submit(&url, &source, &submission(Wait::Forever)).await.unwrap()
        });
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let Submitted::Replied(body) = waiting.await.unwrap() else { panic!("no reply") };
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["id"], "submitted");

        let mut config = node.config.clone();
        let findings = client::check(&config).await.unwrap();
        assert_eq!(findings[0].state, State::Exists);
        assert_eq!(findings[1].state, State::Queue { messages: 0, consumers: 1 });
        config.sources[0].arguments =
            crate::amqp::arguments([("x-max-length", config::Argument::Int(3))]);
        let findings = client::check(&config).await.unwrap();
        let State::Differs(why) = &findings[1].state else { panic!("{findings:?}") };
        assert!(why.contains("x-max-length"), "{why}");
        let client = Client::connect(rabbit).await;
        leave_nothing(&client, node).await;
        client.close().await;
    });
}

fn what_scripts_publish_arrives_or_is_refused(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let config = config(&rabbit.url(), "outbox");
        let outbox = Outbox::new(&config, "scripts").unwrap();
        let mut node = Node::start(config).await;
        let publication = |exchange: &str| Publication {
            exchange: exchange.into(),
            routing_key: String::new(),
            body: TASK.into(),
            content_type: "application/json".into(),
            message_id: TaskId::parse("child").unwrap(),
            depth: Some(2),
            tenant: TenantName::new("default"),
            task: Some(TaskId::parse("parent").unwrap()),
        };
        let exchange = node.source().exchange.clone();
        let publish =
            |publication| tokio::time::timeout(SOON, Publish::publish(&outbox, publication));
        publish(publication(&exchange)).await.expect("in time").unwrap();
        let (task, delivery) = node.next_task().await;
        assert_eq!((task.envelope.id.as_str(), task.envelope.depth), ("child", 2));
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        // A "no" is one message's: the next one goes through.
        let nowhere = publish(publication("no-such-exchange")).await.expect("in time");
        assert_eq!(nowhere, Err(PublishError::Unroutable));
        let message = Publication { depth: None, ..publication(&exchange) };
        publish(message).await.expect("in time").unwrap();
        let (task, delivery) = node.next_task().await;
        assert_eq!(task.envelope.depth, 0);
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        leave_nothing(&client, node).await;
    });
}
