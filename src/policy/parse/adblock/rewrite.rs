//! The value of `$dnsrewrite`: an answer of the list's own, `192.0.2.1`, `NXDOMAIN`, `NOERROR;MX;10 mail.example`.

use super::{Refusal, excerpt, only_name};
use crate::{
    dns::{
        Rcode, RrType,
        presentation::{Field, Token, Tokens, rdata},
    },
    policy::{Action, AliasTarget, LocalData, LocalRecord},
};
use std::{net::IpAddr, sync::Arc};

/// The largest code that fits into a header; those above need an EDNS option (RFC 6891 §6.1.3).
const HEADER_RCODE_MAX: u16 = 15;
/// Octets of a character string (RFC 1035 §3.3); longer texts are split.
const STRING_BYTES_MAX: usize = 255;

const NOT_AN_ANSWER: &str = "not an answer that `dnsrewrite` can give";

/// Reads the value, its commas no longer escaped.
pub(super) fn read(value: &str) -> Result<Action, Refusal> {
    let value = value.trim();
    let mut parts = value.splitn(3, ';');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(code), Some(rr_type), Some(data)) => full(code.trim(), rr_type.trim(), data.trim()),
        (Some(short), None, None) => self::short(short),
        _ => Err((NOT_AN_ANSWER, format!("`{}`: write code, type and value with `;` between", excerpt(value)))),
    }
}

/// An address, a code in capitals, or the name of an alias.
fn short(text: &str) -> Result<Action, Refusal> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => return Ok(record(RrType::A, address.octets().to_vec())),
        Ok(IpAddr::V6(address)) => return Ok(record(RrType::AAAA, address.octets().to_vec())),
        Err(_) => {}
    }
    match text {
        "" => Err(("a modifier without its value", "`dnsrewrite`".to_owned())),
        _ if text.bytes().all(|octet| octet.is_ascii_uppercase()) => code(text),
        _ => alias(text),
    }
}

/// `CODE;TYPE;VALUE`. A code that says there is no answer has none.
fn full(code_text: &str, rr_type: &str, data: &str) -> Result<Action, Refusal> {
    let action = code(code_text)?;
    if action != Action::NoData || (rr_type.is_empty() && data.is_empty()) {
        return Ok(action);
    }
    let rr_type: RrType = rr_type.parse().map_err(|_| ("not a record type", format!("`{}`", excerpt(rr_type))))?;
    if rr_type == RrType::CNAME && !data.starts_with("\\#") {
        return alias(data);
    }
    Ok(record(rr_type, data_of(rr_type, data)?))
}

fn code(text: &str) -> Result<Action, Refusal> {
    match text.parse::<Rcode>() {
        Ok(Rcode::NOERROR) => Ok(Action::NoData),
        Ok(code) if code.0 <= HEADER_RCODE_MAX => Ok(Action::Code(code)),
        _ => Err(("not a response code that `dnsrewrite` can give", format!("`{}`", excerpt(text)))),
    }
}

fn alias(text: &str) -> Result<Action, Refusal> {
    let name = only_name(text)?;
    let alias = Some(AliasTarget::Name(Box::new(name)));
    Ok(Action::Rewrite(Arc::new(LocalData { alias, ..LocalData::default() })))
}

fn record(rr_type: RrType, data: Vec<u8>) -> Action {
    let records = vec![LocalRecord { rr_type, ttl: None, data }];
    Action::Rewrite(Arc::new(LocalData { records, ..LocalData::default() }))
}

/// Wire form of a record's data.
fn data_of(rr_type: RrType, text: &str) -> Result<Vec<u8>, Refusal> {
    if rr_type == RrType::TXT && !text.starts_with(['"', '\\']) {
        return plain_text(text);
    }
    let bad = |detail: String| (NOT_AN_ANSWER, detail);
    let mut fields: Vec<Field<'_>> = Vec::new();
    for token in Tokens::new(text.as_bytes()) {
        match token.map_err(|error| bad(error.to_string()))? {
            Token::Field(field) => fields.push(field),
            Token::Open | Token::Close => return Err(bad(format!("`{}`: parentheses", excerpt(text)))),
        }
    }
    rdata(rr_type, &fields, None).map_err(|error| bad(error.to_string()))
}

/// A text without quotation marks stands for itself, white space and semicolons included, as AdGuard has it.
fn plain_text(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.is_empty() {
        return Err((NOT_AN_ANSWER, "an empty text; write `\"\"`".to_owned()));
    }
    let mut data = Vec::with_capacity(text.len() + 1 + text.len() / STRING_BYTES_MAX);
    for string in text.as_bytes().chunks(STRING_BYTES_MAX) {
        data.push(string.len() as u8);
        data.extend_from_slice(string);
    }
    Ok(data)
}
