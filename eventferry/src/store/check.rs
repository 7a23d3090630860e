//! What no table can hold, refused before the database is asked, so that the caller's transaction stays usable.

use crate::outbox::NewRecord;
use crate::store::{Place, StoreError, StoreErrorKind};

/// Refuses a NUL in any text, a negative partition and a version beyond 32 bits signed. The text names the field, never its value.
pub(crate) fn check_records(records: &[NewRecord]) -> Result<(), StoreError> {
    for (index, record) in records.iter().enumerate() {
        if let Some(problem) = problem(record) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                format!("cannot enqueue record {index} (`{}`): {problem}", record.event_type.escape_debug()),
            ));
        }
    }
    Ok(())
}

/// Refuses a consumer's name that no database text can hold.
pub(crate) fn check_consumer(consumer: &str) -> Result<(), StoreError> {
    if consumer.contains('\0') {
        return Err(StoreError::new(
            StoreErrorKind::Invalid,
            "cannot remember a message: the consumer's name holds a NUL character, which no database text can",
        ));
    }
    Ok(())
}

/// Refuses a place whose texts no database can hold.
pub(crate) fn check_place(place: &Place<'_>) -> Result<(), StoreError> {
    check_consumer(place.consumer)?;
    let texts = [place.source, place.topic, place.aggregate_type, place.aggregate_id];
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(StoreError::new(
            StoreErrorKind::Invalid,
            "cannot move a watermark: the message's source, topic or aggregate holds a NUL character, which no outbox can",
        ));
    }
    Ok(())
}

fn problem(record: &NewRecord) -> Option<String> {
    let texts = [
        ("aggregate type", record.aggregate_type.as_str()),
        ("aggregate id", &record.aggregate_id),
        ("topic", &record.topic),
        ("key", record.key.as_deref().unwrap_or_default()),
        ("event type", &record.event_type),
        ("content type", &record.content_type),
    ];
    if let Some((field, _)) = texts.iter().find(|(_, text)| text.contains('\0')) {
        return Some(format!("its {field} holds a NUL character, which no database text can"));
    }
    if record
        .headers
        .iter()
        .any(|(name, value)| name.contains('\0') || value.contains('\0'))
    {
        return Some("one of its headers holds a NUL character, which no database text can".to_owned());
    }
    if record.partition.is_some_and(|partition| partition < 0) {
        return Some("its partition is negative".to_owned());
    }
    if i32::try_from(record.event_version).is_err() {
        return Some("its version is above 2147483647".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_field_and_shows_no_value() {
        let mut record = NewRecord::new("orders", "order", "42", "OrderCreated", None);
        assert!(check_records(std::slice::from_ref(&record)).is_ok());
        record.key = Some("secret\0key".to_owned());
        let error = check_records(&[record]).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert_eq!(
            error.to_string(),
            "cannot enqueue record 0 (`OrderCreated`): its key holds a NUL character, which no database text can"
        );
    }

    #[test]
    fn numbers_that_no_column_holds_are_refused() {
        let mut record = NewRecord::new("orders", "order", "42", "OrderCreated", None);
        record.partition = Some(-1);
        assert!(check_records(std::slice::from_ref(&record)).is_err());
        record.partition = Some(0);
        record.event_version = u32::MAX;
        assert!(check_records(&[record]).is_err());
    }
}
