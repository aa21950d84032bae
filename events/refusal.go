package events

// Code is the stable name of the reason for which something was refused.
// Codes are part of the public interface: clients branch on them, the log
// keeps them, and messages in each language are looked up by them. A code is
// never renamed and never reused.
type Code string

// Codes for a request as a whole.
const (
	BodyTooLarge         Code = "body_too_large"
	BodyEmpty            Code = "body_empty"
	BodyMalformed        Code = "body_malformed"
	BodyNotUTF8          Code = "body_not_utf8"
	BodyTooSlow          Code = "body_too_slow"
	TooManyRows          Code = "too_many_rows"
	MediaTypeUnsupported Code = "media_type_unsupported"
	EncodingUnsupported  Code = "encoding_unsupported"
	EventMalformed       Code = "event_malformed"
	EventTypeUnknown     Code = "event_type_unknown"
	ContestUnknown       Code = "contest_unknown"
	NoneAccepted         Code = "none_accepted"
)

// Codes for a ballot whose fields cannot be read as a vote.
const (
	RowMalformed   Code = "row_malformed"
	FieldMissing   Code = "field_missing"
	FieldType      Code = "field_type"
	FieldUnknown   Code = "field_unknown"
	FieldRepeated  Code = "field_repeated"
	TextNotUTF8    Code = "text_not_utf8"
	TextTooLong    Code = "text_too_long"
	TextForbidden  Code = "text_forbidden"
	YearMalformed  Code = "year_malformed"
	RankMalformed  Code = "rank_malformed"
	IDMalformed    Code = "id_malformed"
	NameMalformed  Code = "contest_malformed"
	TimeMalformed  Code = "cast_at_malformed"
	ContestDiffers Code = "contest_differs"
)

// Codes for a well-formed vote that the contest's rules do not admit.
const (
	BandUnknown    Code = "band_unknown"
	AlbumUnknown   Code = "album_unknown"
	AlbumMissing   Code = "album_missing"
	YearOutOfRange Code = "year_out_of_range"
	RankOutOfRange Code = "rank_out_of_range"
	VoterMissing   Code = "voter_missing"
	TooEarly       Code = "too_early"
	TooLate        Code = "too_late"
	RuleBroken     Code = "rule_broken" // a rule of the contest's own, which tells it
)

// Codes for a request that cannot be answered as it stands, whatever it holds.
const (
	RouteUnknown       Code = "route_unknown"
	MethodNotAllowed   Code = "method_not_allowed"
	ParameterMalformed Code = "parameter_malformed"
	TokenRequired      Code = "token_required"
	VoteUnknown        Code = "vote_unknown"
	LetterUnknown      Code = "letter_unknown"
	NotFinal           Code = "not_final"
	SecretWrong        Code = "secret_wrong"
	NotSealed          Code = "not_sealed"
	ContestChanged     Code = "contest_changed"
	Busy               Code = "busy"
	Unavailable        Code = "unavailable"
)

// Codes lists all codes.
var Codes = []Code{
	BodyTooLarge, BodyEmpty, BodyMalformed, BodyNotUTF8, BodyTooSlow, TooManyRows, MediaTypeUnsupported,
	EncodingUnsupported, EventMalformed, EventTypeUnknown, ContestUnknown, NoneAccepted, RowMalformed,
	FieldMissing, FieldType, FieldUnknown, FieldRepeated, TextNotUTF8, TextTooLong, TextForbidden,
	YearMalformed, RankMalformed, IDMalformed, NameMalformed, TimeMalformed, ContestDiffers, BandUnknown,
	AlbumUnknown, AlbumMissing, YearOutOfRange, RankOutOfRange, VoterMissing, TooEarly, TooLate, RuleBroken,
	RouteUnknown, MethodNotAllowed, ParameterMalformed, TokenRequired, VoteUnknown, LetterUnknown, NotFinal, SecretWrong, NotSealed,
	ContestChanged, Busy, Unavailable,
}

// Refusal says why something was not taken: a stable code, the field it
// concerns ("" for the whole), and the values that a message about it names,
// such as {"max": "120"}. A refusal is data, not a failure: sending the same
// thing again will be refused again.
type Refusal struct {
	Code   Code
	Field  string
	Params map[string]string
}

// Error makes a Refusal usable as an error where a caller needs one. It is
// for logs and developers; people are shown the message of their language.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return string(r.Code)
	}
	return r.Field + ": " + string(r.Code)
}

// Refuse makes a refusal. Pairs are parameter names and values in turn.
func Refuse(code Code, field string, pairs ...string) *Refusal {
	r := &Refusal{Code: code, Field: field}
	for i := 0; i+1 < len(pairs); i += 2 {
		if r.Params == nil {
			r.Params = make(map[string]string, len(pairs)/2)
		}
		r.Params[pairs[i]] = pairs[i+1]
	}
	return r
}
