package problem

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"text/template/parse"

	"marimba/events"
)

// root is the module's folder.
const root = "../../.."

// codes reads the constants of type Code in package events, by their name in Go.
func codes(t *testing.T) map[string]events.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "events/refusal.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]events.Code)
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			constant := spec.(*ast.ValueSpec)
			if kind, ok := constant.Type.(*ast.Ident); ok && kind.Name == "Code" {
				found[constant.Names[0].Name] = events.Code(literal(t, constant.Values[0]))
			}
		}
	}
	if len(found) < 30 {
		t.Fatalf("only %d codes were found", len(found))
	}
	return found
}

func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		t.Fatalf("%#v is not a literal", e)
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// texts reads the messages of a language.
func texts(t *testing.T, language string) map[string]string {
	t.Helper()
	data, err := messageFiles.ReadFile("messages/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// named returns the parameters that a message names, sorted.
func named(t *testing.T, text string) []string {
	t.Helper()
	tmpl, err := template.New("").Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	found := make(map[string]bool)
	for _, node := range tmpl.Root.Nodes {
		if action, ok := node.(*parse.ActionNode); ok {
			for _, command := range action.Pipe.Cmds {
				found[strings.TrimPrefix(command.String(), ".")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Each code has a message in each language, no message is for a code that there
// is not, and the languages name the same parameters.
func TestEveryCodeHasItsMessages(t *testing.T) {
	spanish, english := texts(t, "es"), texts(t, "en")
	want := make(map[string]bool)
	for _, code := range codes(t) {
		want[string(code)] = true
		if strings.TrimSpace(spanish[string(code)]) == "" || strings.TrimSpace(english[string(code)]) == "" {
			t.Errorf("%s lacks a message", code)
		}
		title := "status_" + strconv.Itoa(StatusOf(code))
		want[title] = true
		if spanish[title] == "" || english[title] == "" {
			t.Errorf("%s lacks a title", title)
		}
	}
	for key := range want {
		if es, en := named(t, spanish[key]), named(t, english[key]); !slices.Equal(es, en) {
			t.Errorf("%s names %v in Spanish, %v in English", key, es, en)
		}
	}
	for _, all := range []map[string]string{spanish, english} {
		for key := range all {
			if !want[key] {
				t.Errorf("%s is a message for nothing", key)
			}
		}
	}
}

// refuseCall is a call of events.Refuse in the code.
type refuseCall struct {
	where string
	code  string // the constant's name; empty if it is not a constant
	field bool   // a field is given
	pairs []string
}

// refuseCalls finds every refusal that the code makes.
func refuseCalls(t *testing.T) []refuseCall {
	t.Helper()
	var calls []refuseCall
	files := token.NewFileSet()
	for _, folder := range []string{"events", "functions"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if ok && nameOf(call.Fun) == "Refuse" && len(call.Args) >= 2 {
					calls = append(calls, readCall(files.Position(call.Pos()).String(), call))
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(calls) < 40 {
		t.Fatalf("only %d refusals were found", len(calls))
	}
	return calls
}

func readCall(where string, call *ast.CallExpr) refuseCall {
	c := refuseCall{where: where, code: nameOf(call.Args[0])}
	field, constant := call.Args[1].(*ast.BasicLit)
	c.field = !constant || field.Value != `""`
	for i := 2; i < len(call.Args); i += 2 {
		if lit, ok := call.Args[i].(*ast.BasicLit); ok {
			c.pairs = append(c.pairs, strings.Trim(lit.Value, `"`))
		}
	}
	return c
}

// nameOf returns the name of an identifier, alone or behind its package.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// Each refusal that the code makes gives all that its message names: nobody
// reads "<no value>".
func TestEveryRefusalGivesWhatItsMessageNames(t *testing.T) {
	codes, spanish := codes(t), texts(t, "es")
	for _, call := range refuseCalls(t) {
		code, ok := codes[call.code]
		if !ok {
			continue // a variable: it came from such a call, or a test of its package holds it
		}
		refusal := &events.Refusal{Code: code, Params: make(map[string]string)}
		if call.field {
			refusal.Field = "name"
		}
		for _, name := range call.pairs {
			refusal.Params[name] = "x"
		}
		for _, lang := range []string{"es", "en"} {
			_, text := Message(lang, refusal)
			if strings.Contains(text, "<no value>") || text == refusal.Error() {
				t.Errorf("%s: %s is told as %q", call.where, code, text)
			}
		}
		if slices.Contains(named(t, spanish[string(code)]), "field") && !call.field {
			t.Errorf("%s: %s names its field, and has none", call.where, code)
		}
	}
}

// Whoever asks for English gets it; all others get Spanish, whatever they send.
func TestLanguageIsThatWhichIsAskedFor(t *testing.T) {
	for accept, want := range map[string]string{
		"":                           "es",
		"es":                         "es",
		"es-GT":                      "es",
		"en":                         "en",
		"en-US":                      "en",
		"en-GB,en;q=0.8,es;q=0.5":    "en",
		"es-GT,es;q=0.9,en;q=0.8":    "es",
		"en;q=0.1,es;q=0.9":          "es",
		"fr":                         "es",
		"fr,en;q=0.5":                "en",
		"en;q=0":                     "es",
		"*":                          "es",
		"\x00\xff,,;;q=q, -":         "es",
		"e":                          "es",
		strings.Repeat("en-", 1<<18): "es",
		strings.Repeat("en,", 1<<18): "es", // longer than any browser's: not read
	} {
		if lang, text := Message(accept, events.Refuse(events.BodyEmpty, "")); lang != want || text != texts(t, want)["body_empty"] {
			t.Errorf("%.40q: %s %q, want %s", accept, lang, text, want)
		}
	}
}

// A message shows what a sender wrote as it is, whatever that looks like.
func TestMessageShowsWhatWasSent(t *testing.T) {
	name := `{{.field}} <b>"Tre` + "\u0301" + `bol"</b>`
	_, text := Message("en", events.Refuse(events.BandUnknown, "name", "name", name))
	if want := fmt.Sprintf("The band “%s” is not in this contest.", name); text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// A code without a message is told as what it is.
func TestCodeWithoutMessageIsItsOwn(t *testing.T) {
	if _, text := Message("en", events.Refuse("new_code", "name")); text != "name: new_code" {
		t.Errorf("got %q", text)
	}
}
