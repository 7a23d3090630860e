use eventferry::define_outbox;

define_outbox! {
    type ShopEvents;
    enum ShopEvent {
        OrderCreated { order_id: String },
    }
}

fn main() {}
