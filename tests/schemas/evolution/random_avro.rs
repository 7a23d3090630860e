//! Whatever is called compatible for Avro is: random schemas, random changes, and random values written with one schema and read with the other.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Schema as Avro;
use apache_avro::types::Value as Written;
use apache_avro::writer::datum::GenericDatumWriter;
use eventferry::schema::evolution::compare;
use eventferry::schema::{Schema, SchemaKind};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::evolution::seeds;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const SYMBOLS: [&str; 4] = ["P", "Q", "R", "S"];

struct Maker<'r> {
    rng: &'r mut Rng,
    /// So that every named type has a name of its own.
    next: usize,
}

impl Maker<'_> {
    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn simple(&mut self) -> Value {
        let names = ["boolean", "int", "long", "float", "double", "bytes", "string"];
        match self.rng.usize(..10) {
            7 => json!({"type": "int", "logicalType": "date"}),
            8 => json!({"type": "long", "logicalType": "timestamp-millis"}),
            9 => json!({"type": "string", "logicalType": "uuid"}),
            at => json!(names[at]),
        }
    }

    fn schema(&mut self, depth: usize) -> Value {
        self.next += 1;
        let name = format!("N{}", self.next);
        match self.rng.u8(..if depth == 0 { 6 } else { 10 }) {
            0..=3 => self.simple(),
            4 => {
                let symbols: Vec<_> = SYMBOLS.into_iter().filter(|_| self.chance(60)).collect();
                let symbols = if symbols.is_empty() { vec!["P"] } else { symbols };
                let mut schema = json!({"type": "enum", "name": name, "symbols": symbols});
                if self.chance(30) {
                    schema["default"] = json!(symbols[0]);
                }
                schema
            }
            5 => json!({"type": "fixed", "name": name, "size": self.rng.u8(1..4)}),
            6 => json!({"type": "array", "items": self.schema(depth - 1)}),
            7 => json!({"type": "map", "values": self.schema(depth - 1)}),
            8 => {
                let mut branches = vec![json!("null")];
                for name in ["int", "long", "double", "string", "bytes", "boolean"] {
                    if self.chance(25) {
                        branches.push(json!(name));
                    }
                }
                if self.chance(40) {
                    branches.push(self.record(depth - 1));
                }
                if self.chance(25) && branches.len() > 1 {
                    branches.remove(0);
                }
                json!(branches)
            }
            _ => self.record(depth - 1),
        }
    }

    fn record(&mut self, depth: usize) -> Value {
        self.next += 1;
        let name = format!("N{}", self.next);
        let fields: Vec<_> = NAMES.into_iter().filter(|_| self.chance(50)).collect::<Vec<_>>();
        let fields: Vec<_> = fields.into_iter().map(|name| self.field(name, depth)).collect();
        json!({"type": "record", "name": name, "fields": fields})
    }

    fn field(&mut self, name: &str, depth: usize) -> Value {
        let schema = self.schema(depth);
        let default = match schema.as_str() {
            Some("int" | "long") => Some(json!(7)),
            Some("string") => Some(json!("d")),
            _ if schema.get(0) == Some(&json!("null")) => Some(Value::Null),
            _ => None,
        };
        match default.filter(|_| self.chance(60)) {
            Some(default) => json!({"name": name, "type": schema, "default": default}),
            None => json!({"name": name, "type": schema}),
        }
    }

    fn changed(&mut self, schema: &Value, percent: u8) -> Value {
        if self.chance(percent) {
            return match schema.as_str() {
                Some("int") => json!("long"),
                Some("long") => json!(["double", "int"][self.rng.usize(..2)]),
                Some("float") => json!("double"),
                Some("string") => json!("bytes"),
                Some("bytes") => json!("string"),
                _ if schema.is_string() => json!(["null", schema]),
                _ => self.within(schema, percent),
            };
        }
        self.within(schema, percent)
    }

    fn within(&mut self, schema: &Value, percent: u8) -> Value {
        let mut new = schema.clone();
        match (schema, schema.get("type").and_then(Value::as_str)) {
            (Value::Array(branches), _) => {
                let mut branches = branches.clone();
                for branch in &mut branches {
                    if branch.is_object() {
                        *branch = self.within(branch, percent);
                    }
                }
                if self.chance(percent) && branches.len() > 1 {
                    branches.remove(self.rng.usize(..branches.len()));
                }
                if self.chance(percent) && !branches.contains(&json!("string")) {
                    branches.push(json!("string"));
                }
                new = json!(branches);
            }
            (_, Some("array")) => new["items"] = self.changed(&schema["items"], percent),
            (_, Some("map")) => new["values"] = self.changed(&schema["values"], percent),
            (_, Some("fixed")) if self.chance(percent) => new["size"] = json!(self.rng.u8(1..4)),
            (_, Some("enum")) if self.chance(percent) => {
                let mut symbols: Vec<_> = SYMBOLS.into_iter().filter(|_| self.chance(70)).collect();
                if let Some(default) = schema.get("default").and_then(Value::as_str)
                    && !symbols.contains(&default)
                {
                    symbols.extend(SYMBOLS.into_iter().filter(|symbol| *symbol == default));
                }
                if !symbols.is_empty() {
                    new["symbols"] = json!(symbols);
                }
            }
            (_, Some("record")) => {
                let mut fields = Vec::new();
                for field in schema["fields"].as_array().into_iter().flatten() {
                    if self.chance(percent / 2) {
                        continue;
                    }
                    let mut field: Map<_, _> = field.as_object().cloned().unwrap_or_default();
                    let inner = self.changed(&field["type"], percent);
                    if inner != field["type"] {
                        field.remove("default");
                    }
                    field.insert("type".to_owned(), inner);
                    fields.push(Value::Object(field));
                }
                let free = NAMES.into_iter().find(|name| fields.iter().all(|field| field["name"] != *name));
                if let Some(name) = free.filter(|_| self.chance(percent)) {
                    let field = self.field(name, 0);
                    fields.push(field);
                }
                if self.chance(percent) {
                    fields.reverse();
                }
                new["fields"] = json!(fields);
            }
            _ => {}
        }
        new
    }

    /// A value of a schema, in the form the writer takes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the types that are made here")]
    fn value(&mut self, schema: &Avro) -> Written {
        match schema {
            Avro::Null => Written::Null,
            Avro::Boolean => Written::Boolean(self.rng.bool()),
            Avro::Int => Written::Int(self.rng.i32(..)),
            Avro::Long => Written::Long(if self.rng.bool() { self.rng.i64(..) } else { self.rng.i64(-9..9) }),
            Avro::Float => Written::Float(self.rng.f32()),
            Avro::Double => Written::Double(self.rng.f64() * 1e300),
            Avro::Bytes => Written::Bytes((0..self.rng.usize(..4)).map(|_| self.rng.u8(..)).collect()),
            Avro::String => Written::String("text".chars().take(self.rng.usize(..5)).collect()),
            Avro::Date => Written::Date(self.rng.i32(..)),
            Avro::TimestampMillis => Written::TimestampMillis(self.rng.i64(..)),
            Avro::Uuid(_) => Written::Uuid(uuid::Uuid::from_u128(self.rng.u128(..))),
            Avro::Array(array) => Written::Array((0..self.rng.usize(..3)).map(|_| self.value(&array.items)).collect()),
            Avro::Map(map) => Written::Map(
                (0..self.rng.usize(..3))
                    .map(|at| (format!("k{at}"), self.value(&map.types)))
                    .collect(),
            ),
            Avro::Union(union) => {
                let at = self.rng.usize(..union.variants().len());
                Written::Union(u32::try_from(at).expect("few"), Box::new(self.value(&union.variants()[at])))
            }
            Avro::Record(record) => Written::Record(
                record
                    .fields
                    .iter()
                    .map(|field| (field.name.clone(), self.value(&field.schema)))
                    .collect(),
            ),
            Avro::Enum(one) => {
                let at = self.rng.usize(..one.symbols.len());
                Written::Enum(u32::try_from(at).expect("few"), one.symbols[at].clone())
            }
            Avro::Fixed(fixed) => Written::Fixed(fixed.size, vec![self.rng.u8(..); fixed.size]),
            other => panic!("{other:?} is not made here"),
        }
    }
}

#[test]
fn what_is_called_compatible_is_read() {
    let (mut compatible, mut broken, mut refuted, mut values) = (0, 0, 0, 0);
    for seed in seeds(400) {
        let mut rng = Rng::with_seed(seed);
        let mut maker = Maker { rng: &mut rng, next: 0 };
        let old = maker.record(3);
        let percent = [5, 10, 25][maker.rng.usize(..3)];
        let new = maker.changed(&old, percent);
        let texts = [&old, &new].map(ToString::to_string);
        let [Ok(wrote), Ok(reads)] = texts.each_ref().map(|text| Avro::parse_str(text)) else {
            continue;
        };
        let [a, b] = texts.each_ref().map(|text| Schema::new(SchemaKind::Avro, "Random", text.clone()));
        let evolution = compare(&a, &b).expect("schemas");
        if evolution.is_same() {
            continue;
        }
        for (wrote, reads, is_compatible) in [(&wrote, &reads, evolution.is_backward()), (&reads, &wrote, evolution.is_forward())] {
            let writer = GenericDatumWriter::builder(wrote).build().expect("a schema");
            let reader = GenericDatumReader::builder(wrote).reader_schema(reads).build().expect("schemas");
            let mut is_refuted = false;
            for _ in 0..20 {
                let value = maker.value(wrote);
                let bytes = writer.write_value_to_vec(value.clone()).expect("a value of the schema");
                values += 1;
                if let Err(error) = reader.read_value(&mut bytes.as_slice()) {
                    let texts = format!("writer {}\nreader {}", wrote.canonical_form(), reads.canonical_form());
                    assert!(
                        !is_compatible,
                        "seed {seed}: {value:?} is written and not read: {error}\n{texts}\n{evolution}"
                    );
                    is_refuted = true;
                }
            }
            compatible += usize::from(is_compatible);
            broken += usize::from(!is_compatible);
            refuted += usize::from(is_refuted);
        }
    }
    eprintln!("avro: {compatible} directions compatible, {broken} not, {refuted} of those refuted by a value; {values} values");
    assert!(compatible > 80, "too few were compatible");
    assert!(refuted * 10 > broken * 6, "too much is called broken that is not");
}
