//! The words of an address's query as what they are to be. Numbers and yes or no are made of text here and nowhere else, so
//! that what is wrong with them is said in words of ours.

use percent_encoding::percent_decode_str;
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Visitor,
        value::{Error, MapDeserializer},
    },
    forward_to_deserialize_any,
};
use std::{
    fmt::Display,
    num::{IntErrorKind, ParseIntError},
    str::FromStr,
};

/// Reads a query without its question mark. What is wrong with a field's value is said behind the field: `hours: …`.
pub fn read<Q: DeserializeOwned>(query: &str) -> Result<Q, Error> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (field, text) = pair.split_once('=').unwrap_or((pair, ""));
        let field = decoded(field);
        (field.clone(), Text { field, text: decoded(text) })
    });
    Q::deserialize(MapDeserializer::new(pairs))
}

/// What stands there, as forms write it (`+` is a space).
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// What is given for a field.
struct Text {
    field: String,
    text: String,
}

impl Text {
    fn wrong(&self, what: impl Display) -> Error {
        Error::custom(format_args!("{}: {what}", self.field))
    }

    fn number<N: FromStr<Err = ParseIntError>>(&self) -> Result<N, Error> {
        self.text.parse().map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => self.wrong("that is too large a number"),
            IntErrorKind::NegOverflow => self.wrong("that is too small a number"),
            _ => self.wrong("write a whole number"),
        })
    }
}

impl IntoDeserializer<'_, Error> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Whole numbers of all sizes.
macro_rules! numbers {
    ($($deserialize:ident $visit:ident),*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Text {
    type Error = Error;

    numbers! {
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64,
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_so = self.text.parse::<bool>().map_err(|_| self.wrong("write true or false"))?;
        visitor.visit_bool(is_so)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text: serde::de::value::StrDeserializer<'_, Error> = self.text.as_str().into_deserializer();
        visitor.visit_enum(text).map_err(|error| self.wrong(error))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.text).map_err(|error: Error| self.wrong(error))
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, PartialEq, Debug, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Asked {
        hours: Option<u32>,
        from: i64,
        is_tried: bool,
        name: Option<String>,
        of: Of,
    }

    #[derive(Deserialize, PartialEq, Debug, Default)]
    #[serde(rename_all = "lowercase")]
    enum Of {
        #[default]
        Names,
        Clients,
    }

    #[test]
    fn fields_are_what_they_are_to_be() {
        let read = |query| read::<Asked>(query).unwrap();
        assert_eq!(read(""), Asked::default());
        assert_eq!(read("&&hours=24&from=-5"), Asked { hours: Some(24), from: -5, ..Asked::default() });
        assert_eq!(read("is_tried=true&of=clients"), Asked { is_tried: true, of: Of::Clients, ..Asked::default() });
        for (query, name) in
            [("name=a%26b+c", "a&b c"), ("name=%C3%BC%ff", "ü\u{fffd}"), ("name", ""), ("name=a=b", "a=b")]
        {
            assert_eq!(read(query).name.as_deref(), Some(name), "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_of_its_field() {
        for (query, why) in [
            ("hours=x", "hours: write a whole number"),
            ("hours=", "hours: write a whole number"),
            ("hours=1.5", "hours: write a whole number"),
            ("hours=99999999999", "hours: that is too large a number"),
            ("from=-99999999999999999999", "from: that is too small a number"),
            ("is_tried=yes", "is_tried: write true or false"),
            ("of=x", "of: unknown variant `x`, expected `names` or `clients`"),
            ("hours=1&hours=2", "duplicate field `hours`"),
            ("days=1", "unknown field `days`, expected one of `hours`, `from`, `is_tried`, `name`, `of`"),
        ] {
            assert_eq!(read::<Asked>(query).unwrap_err().to_string(), why, "{query}");
        }
    }
}
