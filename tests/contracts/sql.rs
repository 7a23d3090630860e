//! `schemas/sql`: the tables of each database, for people who run their own migration tool.

macro_rules! printed {
    ($($feature:literal $name:ident: $store:path;)+) => {$(
        #[cfg(feature = $feature)]
        #[test]
        fn $name() {
            use $store as Store;
            let path = concat!("schemas/sql/", $feature, ".sql");
            crate::assert_committed(path, &Store::sql(&eventferry::TableName::default()));
        }
    )+};
}

printed! {
    "sqlite" the_tables_of_sqlite_are_committed: eventferry::store::sqlite::SqliteStore;
    "postgres" the_tables_of_postgresql_are_committed: eventferry::store::postgres::PostgresStore;
}
