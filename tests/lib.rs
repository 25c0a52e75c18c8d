//! What the end-to-end tests share: a private RabbitMQ, daemons, clients.
