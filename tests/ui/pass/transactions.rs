//! What an open transaction of sqlx is passed as. Compiled only: no database is asked.
#![expect(dead_code, reason = "compiled, not run")]

use eventferry::{EnqueueError, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug)]
    enum ShopEvent {
        OrderCreated,
    }
}

/// A function of the user's that takes the transaction by reference calls twice, without `&mut *tx`.
async fn twice(events: &ShopEvents, tx: &mut sqlx::PgTransaction<'_>) -> Result<(), EnqueueError> {
    events.enqueue(tx, OrderCreated { order_id: 1 }).await?;
    events.event(OrderCreated { order_id: 2 }).key("k").enqueue(tx).await?;
    events.enqueue_all(tx, [events.event(OrderCreated { order_id: 3 })]).await?;
    Ok(())
}

/// The future is `Send`, so that a task can hold it.
#[expect(clippy::manual_async_fn, reason = "the signature says what is tested: `Send`")]
fn spawned(events: ShopEvents, mut tx: sqlx::PgTransaction<'static>) -> impl Future<Output = ()> + Send + 'static {
    async move {
        if twice(&events, &mut tx).await.is_ok() {
            drop(tx.commit().await);
        }
    }
}
