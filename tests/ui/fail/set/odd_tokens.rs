use eventferry::define_outbox;

define_outbox! {
    #[outbox(topic = "orders")]
    type ShopEvents;
    enum ShopEvent {
        5,
    }
}

define_outbox! {}

define_outbox! {
    type ShopEvents;
}

define_outbox! {
    type ShopEvents;
    struct ShopEvent;
}

fn main() {}
