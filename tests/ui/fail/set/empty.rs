use eventferry::define_outbox;

define_outbox! {
    type ShopEvents;
    enum ShopEvent {
    }
}

fn main() {}
