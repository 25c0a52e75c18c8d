//! Answers what scripts ask of the host, as far as their tenants are granted it.

mod scripts;

use std::pin::Pin;
use std::sync::Arc;

use roh_abi::{Answer, RefusalKind, Request};

pub use self::scripts::Scripts;
use crate::sandbox::Calls;
use crate::task::TenantName;

/// What one run may ask for.
pub struct Session {
    tenant: TenantName,
    scripts: Arc<Scripts>,
}

impl Session {
    /// A session of a task of `tenant`.
    pub fn new(tenant: TenantName, scripts: Arc<Scripts>) -> Session {
        Session { tenant, scripts }
    }

    async fn decide(&self, request: Request) -> Answer {
        match request {
            Request::Module(name) => {
                let (scripts, tenant) = (self.scripts.clone(), self.tenant.clone());
                let found = tokio::task::spawn_blocking(move || scripts.find(&tenant, &name)).await;
                found
                    .unwrap_or_else(|error| Answer::refused(RefusalKind::Failed, error.to_string()))
            }
            _ => Answer::refused(RefusalKind::NotGranted, "not granted"),
        }
    }
}

impl Calls for Session {
    fn answer(&self, request: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
        Box::pin(async move {
            let answer = match roh_abi::decode(&request) {
                Ok(request) => self.decide(request).await,
                Err(error) => Answer::refused(RefusalKind::Invalid, error.to_string()),
            };
            roh_abi::encode(&answer)
        })
    }
}
