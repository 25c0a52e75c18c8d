//! The broker module when something is wrong: what it says, and what it mends itself.

use std::time::Duration;

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use roh::broker::{Broker, BrokerError, MendedBy};
use roh::config::{Argument, Config};
use roh::manager::settlement::DeadLetter;
use roh_tests::process::{free_port, poll};
use roh_tests::rabbit::Rabbit;

use crate::amqp::{Client, SOON, arguments, run};
use crate::node::{Arrival, Node, TASK, config, failed, finish, settle, succeeded};

crate::tests![
    wrong_credentials_end_the_first_connect,
    a_missing_vhost_ends_the_first_connect,
    an_untrusted_certificate_ends_the_first_connect,
    a_queue_with_other_arguments_ends_the_first_connect,
    an_exchange_of_another_type_ends_the_first_connect,
    waits_for_a_broker_that_is_not_there_yet,
    a_dead_letter_that_finds_no_queue_stays_unacked,
    a_refused_dead_letter_waits_alone,
    a_deleted_queue_is_declared_again,
    a_broker_that_restarts_loses_no_task,
    a_broker_in_need_delays_settling_and_loses_nothing,
];

async fn refused(config: &Config) -> String {
    let connecting = tokio::time::timeout(SOON, Broker::connect(config));
    let error: BrokerError = match connecting.await.expect("refused in time") {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    };
    assert_eq!(error.mended_by(), MendedBy::Person);
    error.to_string()
}

fn wrong_credentials_end_the_first_connect(rabbit: &Rabbit) {
    run(async {
        let url = rabbit.url().replace("guest:guest", "guest:wrong-secret");
        let text = refused(&config(&url, "credentials")).await;
        let address = format!("amqp://guest@127.0.0.1:{}/", rabbit.port());
        assert!(
            text.starts_with(&format!("cannot connect to {address}: ACCESS_REFUSED")),
            "{text}"
        );
        assert!(!text.contains("wrong-secret"), "{text}");
    });
}

fn a_missing_vhost_ends_the_first_connect(rabbit: &Rabbit) {
    run(async {
        let text = refused(&config(&format!("{}/nowhere", rabbit.url()), "vhost")).await;
        assert!(text.contains("vhost nowhere not found"), "{text}");
    });
}

fn an_untrusted_certificate_ends_the_first_connect(rabbit: &Rabbit) {
    let Some((url, _)) = rabbit.tls_url() else { return };
    run(async {
        let text = refused(&config(&url, "tls")).await;
        assert!(text.contains("certificate"), "{text}");
    });
}

fn a_queue_with_other_arguments_ends_the_first_connect(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        for nowait in [false, true] {
            let mut config = config(&rabbit.url(), "arguments");
            let source = &mut config.sources[0];
            source.nowait = nowait;
            source.arguments = arguments([("x-max-length", Argument::Int(10))]);
            client.queue(&source.queue, false, FieldTable::default()).await;
            let queue = source.queue.clone();
            let text = refused(&config).await;
            for part in
                [queue.as_str(), "inequivalent arg 'x-max-length'", "received the value '10'"]
            {
                assert!(text.contains(part), "nowait {nowait}: {text}");
            }
            client.delete_queue(&queue).await;
        }
        let config = config(&rabbit.url(), "transient");
        let options = QueueDeclareOptions::default();
        let queue = config.sources[0].queue.as_str();
        client.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        let text = refused(&config).await;
        assert!(text.contains("inequivalent arg 'durable'"), "{text}");
    });
}

fn an_exchange_of_another_type_ends_the_first_connect(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let config = config(&rabbit.url(), "kind");
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let exchange = config.sources[0].exchange.as_str();
        client
            .channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, options, FieldTable::default())
            .await
            .unwrap();
        let text = refused(&config).await;
        assert!(text.contains("cannot declare exchange"), "{text}");
        assert!(text.contains("inequivalent arg 'type'"), "{text}");
    });
}

fn waits_for_a_broker_that_is_not_there_yet(_: &Rabbit) {
    run(async {
        let url = format!("amqp://guest:guest@127.0.0.1:{}", free_port());
        let config = config(&url, "absent");
        let connecting = Broker::connect(&config);
        let waited = tokio::time::timeout(Duration::from_secs(1), connecting).await;
        assert!(waited.is_err(), "gave up");
    });
}

fn a_dead_letter_that_finds_no_queue_stays_unacked(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "undead")).await;
        let exchange = node.config.sources[0].exchange.clone();
        let dead = node.config.dead_letter.queue.clone();
        client.delete_queue(&dead).await;
        client.publish(&exchange, "", TASK, Default::default()).await;
        let (task, delivery) = node.next_task().await;
        let first = delivery.session();
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        let Arrival::Lost(lost) = node.next().await else { panic!("session not lost") };
        assert_eq!(lost, first);
        // The next session declares the queue, and the task comes once more.
        let (task, delivery) = node.next_task().await;
        assert_ne!(delivery.session(), first);
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        assert_eq!(client.take(&dead).await.delivery.data, TASK);
        node.leave().await;
    });
}

fn a_refused_dead_letter_waits_alone(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "refused")).await;
        let exchange = node.config.sources[0].exchange.clone();
        let dead = node.config.dead_letter.queue.clone();
        let policy = r#"{"max-length": 1, "overflow": "reject-publish"}"#;
        rabbit
            .ctl(&["set_policy", &dead, &format!("^{dead}$"), policy, "--apply-to", "queues"])
            .unwrap();
        // A policy takes hold some time after it is set.
        let line = format!("{dead}\t{dead}");
        let in_force = || rabbit.ctl(&["list_queues", "name", "policy"]).unwrap().contains(&line);
        assert!(poll(SOON, in_force));
        for _ in 0..3 {
            client.publish(&exchange, "", TASK, Default::default()).await;
        }
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(failed(), DeadLetter::Yes)).await;
        let (full, refused) = node.next_task().await;
        let settlement = finish(failed(), DeadLetter::Yes);
        let held = tokio::spawn(async move { refused.settle(&full.envelope, &settlement).await });
        // Long enough for the broker to have refused it, and once more.
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The others' deliveries go on in the same session.
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        client.await_count(&dead, (1, 0)).await;
        assert!(!held.is_finished());
        assert!(node.arrivals.try_recv().is_err(), "the session is lost");
        // Room again: the dead letter is there in the end.
        assert_eq!(client.take(&dead).await.delivery.data, TASK);
        tokio::time::timeout(SOON, held).await.expect("settled in time").unwrap();
        assert_eq!(client.take(&dead).await.delivery.data, TASK);
        node.leave().await;
    });
}

fn a_deleted_queue_is_declared_again(rabbit: &Rabbit) {
    run(async {
        let client = Client::connect(rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "deleted")).await;
        node.await_connected(true).await;
        client.delete_queue(&node.config.sources[0].queue.clone()).await;
        assert!(matches!(node.next().await, Arrival::Lost(_)));
        node.await_connected(true).await;
        client.publish(&node.config.sources[0].exchange, "", TASK, Default::default()).await;
        let (task, delivery) = node.next_task().await;
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        node.leave().await;
    });
}

fn a_broker_that_restarts_loses_no_task(_: &Rabbit) {
    let mut rabbit = Rabbit::start().unwrap();
    let url = rabbit.url();
    run(async {
        let client = Client::connect(&rabbit).await;
        let mut node = Node::start(config(&url, "restart")).await;
        client.publish(&node.config.sources[0].exchange, "", TASK, Default::default()).await;
        let (task, stale) = node.next_task().await;
        tokio::task::block_in_place(|| rabbit.stop());
        let Arrival::Lost(lost) = node.next().await else { panic!("session not lost") };
        assert_eq!(lost, stale.session());
        node.await_connected(false).await;
        // It returns at once, and does no harm.
        settle(stale, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        tokio::task::block_in_place(|| rabbit.start_again().unwrap());
        let (task, delivery) = node.next_task().await;
        assert!(*node.connected.borrow());
        assert_ne!(delivery.session(), lost);
        settle(delivery, &task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        let client = Client::connect(&rabbit).await;
        let queue = node.config.sources[0].queue.clone();
        node.leave().await;
        client.await_count(&queue, (0, 0)).await;
    });
}

fn a_broker_in_need_delays_settling_and_loses_nothing(_: &Rabbit) {
    let rabbit = Rabbit::start().unwrap();
    run(async {
        let client = Client::connect(&rabbit).await;
        let mut node = Node::start(config(&rabbit.url(), "alarm")).await;
        let queue = client.reply_queue().await;
        let of = lapin::BasicProperties::default().with_reply_to(queue.as_str().into());
        client.publish(&node.config.sources[0].exchange, "", TASK, of).await;
        let (task, delivery) = node.next_task().await;
        let watermark = |fraction: &str| {
            tokio::task::block_in_place(|| {
                rabbit.ctl(&["set_vm_memory_high_watermark", fraction]).unwrap();
            });
        };
        watermark("0.00001");
        let settling = tokio::spawn(async move {
            delivery.settle(&task.envelope, &finish(succeeded(), DeadLetter::No)).await;
        });
        // The alarm is raised within the broker's second; afterwards nothing moves.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!settling.is_finished());
        watermark("0.4");
        tokio::time::timeout(SOON, settling).await.expect("settled in time").unwrap();
        client.take(&queue).await;
        node.leave().await;
    });
}
