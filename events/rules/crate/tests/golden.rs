//! Holds the crate, as it runs natively, against the golden table. Go holds
//! rules.wasm against the same table, and so does Node.

use rules::answer::{kind, ROOM};
use rules::ballot::{self, Ballot};
use rules::bytes::{u32_at, Buf};
use rules::contest::{self, Contest, Scratch, NO_ALBUM};
use rules::json::{decode, Json, Kind};

/// A JSON value, as far as the table needs it.
#[derive(Clone)]
enum Value {
    Text(String),
    Number(i64),
    Truth(bool),
    List(Vec<Value>),
    Object(Vec<(String, Value, String)>), // with the value as it is written
    Null,
}

fn text_of(json: &mut Json) -> String {
    json.peek();
    let s = json.string().expect("a string");
    let mut room = vec![0; s.raw.len() + 4];
    let decoded = decode(&s, &mut Buf::new(&mut room)).to_vec();
    String::from_utf8(decoded).expect("UTF-8")
}

fn value_of(text: &str, json: &mut Json) -> Value {
    match json.peek() {
        Kind::String => Value::Text(text_of(json)),
        Kind::Number => {
            let number = std::str::from_utf8(json.number().expect("a number")).unwrap();
            Value::Number(number.parse::<f64>().unwrap() as i64)
        }
        Kind::Truth => Value::Truth(json.literal().expect("a literal") == b"true"),
        Kind::Array => {
            let mut list = Vec::new();
            json.open(b'[').unwrap();
            while json.element().expect("an element") {
                list.push(value_of(text, json));
            }
            Value::List(list)
        }
        Kind::Object => {
            let mut members = Vec::new();
            json.open(b'{').unwrap();
            while let Some(key) = json.member().expect("a member") {
                json.peek();
                let from = json.at;
                let value = value_of(text, json);
                members.push((String::from_utf8(key.raw.to_vec()).unwrap(), value, text[from..json.at].to_string()));
            }
            Value::Object(members)
        }
        _ => {
            json.literal().expect("null");
            Value::Null
        }
    }
}

impl Value {
    fn member(&self, name: &str) -> &Value {
        match self {
            Value::Object(members) => members.iter().find(|m| m.0 == name).map_or(&Value::Null, |m| &m.1),
            _ => &Value::Null,
        }
    }

    fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            _ => "",
        }
    }

    fn list(&self) -> &[Value] {
        match self {
            Value::List(list) => list,
            _ => &[],
        }
    }
}

/// What became of a vote, as the table has it.
fn judge(contest: &Contest, form: &Value, data: &[u8], strict: bool, at: i64) -> Vec<String> {
    let (mut room, mut answer) = (vec![0; data.len()], vec![0; ROOM]);
    ballot::read(data, strict, &mut room, &mut Buf::new(&mut answer));
    if u32_at(&answer, 0) == kind::REFUSAL {
        return refusal(&answer);
    }
    assert_eq!(u32_at(&answer, 0), kind::BALLOT);
    let mut bytes = answer[8..8 + u32_at(&answer, 4) as usize].to_vec();
    bytes[..8].copy_from_slice(&at.to_le_bytes());
    let vote = Ballot::from_bytes(&bytes).expect("a whole ballot");

    let mut answer = vec![0; ROOM];
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (mut name, mut album) = (text(vote.name), text(vote.album));
    if !contest.judge(&vote, &mut Scratch::new(), &mut Buf::new(&mut answer)) {
        if u32_at(&answer, 0) == kind::REFUSAL {
            return refusal(&answer);
        }
        assert_eq!(u32_at(&answer, 0), kind::SPELLING);
        let band = &form.member("bands").list()[u32_at(&answer, 8) as usize];
        name = band.member("name").text().to_string();
        if u32_at(&answer, 12) != NO_ALBUM {
            album = band.member("albums").list()[u32_at(&answer, 12) as usize].member("title").text().to_string();
        }
    }
    let cast_at = if vote.flags & ballot::HAS_CAST_AT != 0 { vote.cast_at.to_string() } else { String::new() };
    vec![
        "admitted".to_string(),
        name,
        album,
        vote.year.to_string(),
        vote.rank.to_string(),
        text(vote.voter),
        text(vote.id),
        text(vote.contest),
        cast_at,
    ]
}

fn refusal(answer: &[u8]) -> Vec<String> {
    let mut rest = &answer[8..8 + u32_at(answer, 4) as usize];
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let (text, behind) = rest[4..].split_at(u32_at(rest, 0) as usize);
        texts.push(String::from_utf8(text.to_vec()).expect("UTF-8"));
        rest = behind;
    }
    let mut pairs: Vec<_> = texts[2..].chunks(2).map(<[String]>::to_vec).collect();
    pairs.sort();
    let mut said = vec!["refused".to_string(), texts[0].clone(), texts[1].clone()];
    said.extend(pairs.into_iter().flatten());
    said
}

#[test]
fn the_crate_answers_what_the_table_says() {
    let table = std::fs::read_to_string("../testdata/golden.json").expect("the golden table");
    let golden = value_of(&table, &mut Json::new(table.as_bytes()));
    let contests = match golden.member("contests") {
        Value::Object(members) => members.clone(),
        _ => panic!("no contests"),
    };
    let now = match golden.member("at") {
        Value::Number(at) => *at,
        _ => panic!("no time"),
    };
    let cases = golden.member("cases").list();
    assert!(cases.len() > 80);
    for case in cases {
        let (_, form, written) = contests.iter().find(|c| c.0 == case.member("contest").text()).expect("a contest");
        let mut scratch = Scratch::new();
        let size =
            contest::size(written.as_bytes(), &mut scratch).unwrap_or_else(|no| panic!("{} at {}", no.fault, no.at));
        let mut room = vec![0; size.bytes()];
        let contest =
            Contest::new(written.as_bytes(), size, &mut room, &mut scratch).unwrap_or_else(|no| panic!("{}", no.fault));
        let hex = case.member("hex").text();
        let data = match hex {
            "" => case.member("json").text().as_bytes().to_vec(),
            _ => (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
        };
        let at = if let Value::Number(at) = case.member("at") { *at } else { now };
        let strict = !matches!(case.member("lenient"), Value::Truth(true));
        let want: Vec<_> = case.member("want").list().iter().map(|w| w.text().to_string()).collect();
        assert_eq!(judge(&contest, form, &data, strict, at), want, "{}", case.member("say").text());
    }
}

/// What is no contest is told, with the place.
#[test]
fn what_is_no_contest_is_told() {
    for (text, fault, at) in [
        ("", "unexpected EOF", 0),
        ("[]", "invalid character", 0),
        ("{\"rank_max\":\"10\"}", "a value of another type is expected", 12),
        ("{\"rank_max\":1.234}", "a value of another type is expected", 17),
        ("{\"year_min\":1.5}", "a value of another type is expected", 15),
        ("{\"open_roster\":1}", "a value of another type is expected", 15),
        ("{\"opens_at\":\"tomorrow\"}", "a time must be as RFC 3339 has it", 22),
        ("{\"bands\":[{\"albums\":[]}]}", "a band has one name, which must come first", 20),
        ("{\"bands\":[{\"name\":\"A\",\"name\":\"B\"}]}", "a band has one name, which must come first", 29),
        ("{\"bands\":[{\"name\":\"\\ud800\"}]}", "a text is not UTF-8 or too long", 26),
        ("{} {}", "something is behind the contest", 3),
    ] {
        match contest::size(text.as_bytes(), &mut Scratch::new()) {
            Ok(_) => panic!("{} is taken", text),
            Err(no) => assert_eq!((no.fault, no.at), (fault, at), "{}", text),
        }
    }
}

/// Nesting is bounded, and takes no stack.
#[test]
fn bombs_are_refused() {
    let read = |text: String| {
        let (mut room, mut answer) = (vec![0; text.len()], vec![0; ROOM]);
        ballot::read(text.as_bytes(), false, &mut room, &mut Buf::new(&mut answer));
        if u32_at(&answer, 0) == kind::BALLOT {
            return "a ballot".to_string();
        }
        refusal(&answer).join(" ")
    };
    let nested = |levels: usize| {
        format!("{{\"x\":{}1{},\"name\":\"A\",\"year\":1,\"rank\":1}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert_eq!(read(nested(9_999)), "a ballot");
    assert_eq!(read(nested(10_000)), "refused body_malformed  reason line 1, byte 10005: exceeded max depth");
    assert_eq!(read("[".repeat(1 << 20)), "refused body_malformed  reason line 1, byte 10001: exceeded max depth");
    assert_eq!(
        read("{\"a\":".repeat(1 << 18)),
        "refused body_malformed  reason line 1, byte 50001: exceeded max depth"
    );
}
