//! Declares exchanges, queues and bindings. Consumes nothing.

use std::collections::BTreeMap;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::address::Address;
use super::error::BrokerError;
use super::message::short;
use crate::config::{Argument, DeadLetter, Source};
use crate::task::TenantName;

/// Declares the dead-letter pair.
pub(super) async fn declare_dead_letter(
    channel: &Channel,
    address: &Address,
    pair: &DeadLetter,
) -> Result<(), BrokerError> {
    let declare = Declare { channel, address, nowait: false };
    declare.exchange(&pair.exchange).await?;
    declare.queue(&pair.queue, &BTreeMap::new()).await?;
    declare.bind(&pair.queue, &pair.exchange, "", &BTreeMap::new()).await
}

/// Declares a source's exchange, queue and binding. With `nowait`, what the broker says
/// against it fails the next step on this channel.
pub(super) async fn declare_source(
    channel: &Channel,
    address: &Address,
    source: &Source,
) -> Result<(), BrokerError> {
    let declare = Declare { channel, address, nowait: source.nowait };
    declare.exchange(&source.exchange).await?;
    declare.queue(&source.queue, &source.arguments).await?;
    let Source { queue, exchange, routing_key, binding_arguments, .. } = source;
    declare.bind(queue, exchange, routing_key, binding_arguments).await
}

/// Declares one thing at a time, and names it if that fails.
pub(super) struct Declare<'a> {
    pub(super) channel: &'a Channel,
    pub(super) address: &'a Address,
    pub(super) nowait: bool,
}

impl Declare<'_> {
    pub(super) async fn exchange(&self, name: &str) -> Result<(), BrokerError> {
        let options = ExchangeDeclareOptions {
            durable: true,
            nowait: self.nowait,
            ..ExchangeDeclareOptions::default()
        };
        self.channel
            .exchange_declare(short(name), ExchangeKind::Fanout, options, FieldTable::default())
            .await
            .map_err(|error| self.error(&format!("declare exchange {name:?}"), &error))
    }

    pub(super) async fn queue(
        &self,
        name: &str,
        arguments: &BTreeMap<String, Argument>,
    ) -> Result<(), BrokerError> {
        let options = QueueDeclareOptions {
            durable: true,
            nowait: self.nowait,
            ..QueueDeclareOptions::default()
        };
        self.channel
            .queue_declare(short(name), options, table(arguments))
            .await
            .map(|_| ())
            .map_err(|error| self.error(&format!("declare queue {name:?}"), &error))
    }

    async fn bind(
        &self,
        queue: &str,
        exchange: &str,
        routing_key: &str,
        arguments: &BTreeMap<String, Argument>,
    ) -> Result<(), BrokerError> {
        let options = QueueBindOptions { nowait: self.nowait };
        self.channel
            .queue_bind(
                short(queue),
                short(exchange),
                short(routing_key),
                options,
                table(arguments),
            )
            .await
            .map_err(|error| {
                self.error(&format!("bind queue {queue:?} to exchange {exchange:?}"), &error)
            })
    }

    fn error(&self, step: &str, error: &lapin::Error) -> BrokerError {
        BrokerError::from_lapin(format!("{step} on"), self.address, error)
    }
}

fn table(arguments: &BTreeMap<String, Argument>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(short(name), amqp_value(value));
    }
    table
}

/// The broker compares integers by value, whatever their width.
fn amqp_value(argument: &Argument) -> AMQPValue {
    match argument {
        Argument::Bool(value) => AMQPValue::Boolean(*value),
        Argument::Int(value) => AMQPValue::LongLongInt(*value),
        Argument::Float(value) => AMQPValue::Double(*value),
        Argument::Text(value) => AMQPValue::LongString(value.as_str().into()),
        Argument::List(values) => AMQPValue::FieldArray(FieldArray::from(
            values.iter().map(amqp_value).collect::<Vec<_>>(),
        )),
        Argument::Table(entries) => AMQPValue::FieldTable(table(entries)),
    }
}

/// Splits `total` unsettled deliveries over sources, given whose they are: evenly, the first
/// ones get the remainder, and each gets at least one and what the protocol can say. All of
/// a tenant's get no more than `most` says; what that leaves goes to the others.
pub(super) fn split_prefetch(
    total: usize,
    tenants: &[&TenantName],
    most: impl Fn(&TenantName) -> Option<usize>,
) -> Vec<u16> {
    let mut split = vec![1u16; tenants.len()];
    let mut left = total.saturating_sub(tenants.len());
    let mut has = BTreeMap::new();
    for tenant in tenants {
        *has.entry(tenant).or_insert(0) += 1;
    }
    loop {
        let before = left;
        for (tenant, prefetch) in tenants.iter().zip(&mut split) {
            let has = has.entry(tenant).or_default();
            let may = most(tenant).is_none_or(|most| *has < most) && *prefetch < u16::MAX;
            if left > 0 && may {
                *prefetch += 1;
                *has += 1;
                left -= 1;
            }
        }
        if left == before {
            return split;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_prefetch_evenly() {
        for (total, sources, expected) in [
            (72, 1, vec![72]),
            (7, 3, vec![3, 2, 2]),
            (3, 3, vec![1, 1, 1]),
            (100_000, 1, vec![65_535]),
            (1, 0, vec![]),
        ] {
            let tenant = TenantName::new("t");
            let split = split_prefetch(total, &vec![&tenant; sources], |_| None);
            assert_eq!(split, expected, "{total} over {sources}");
        }
    }

    #[test]
    fn a_tenant_gets_no_more_of_the_prefetch_than_its_limit() {
        let (a, b) = (TenantName::new("a"), TenantName::new("b"));
        for (most, expected) in [
            (100, [18, 18, 18, 18]),
            (20, [7, 7, 52, 6]),
            // One for each source at least.
            (0, [1, 1, 69, 1]),
        ] {
            let most = |tenant: &TenantName| (*tenant == a).then_some(most);
            assert_eq!(split_prefetch(72, &[&a, &a, &b, &a], most), expected);
        }
    }

    #[test]
    fn arguments_become_amqp_values() {
        let arguments = BTreeMap::from([
            ("x-max-length".to_owned(), Argument::Int(10)),
            ("x-queue-type".to_owned(), Argument::Text("quorum".into())),
            ("list".to_owned(), Argument::List(vec![Argument::Bool(true)])),
        ]);
        let table = table(&arguments);
        assert_eq!(table.inner().get("x-max-length"), Some(&AMQPValue::LongLongInt(10)));
        assert_eq!(
            table.inner().get("x-queue-type"),
            Some(&AMQPValue::LongString("quorum".into()))
        );
        assert_eq!(
            table.inner().get("list"),
            Some(&AMQPValue::FieldArray(vec![AMQPValue::Boolean(true)].into()))
        );
    }
}
