package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// markdown writes sections as Markdown.
func markdown(sections []section) string {
	var b strings.Builder
	for i, s := range sections {
		level := "##"
		if i == 0 {
			level = "#"
		}
		fmt.Fprintf(&b, "%s %s\n\n", level, s.Title)
		for _, text := range s.Text {
			fmt.Fprintf(&b, "%s\n\n", text)
		}
		if len(s.Rows) > 0 {
			fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(s.Head, " | "), strings.Repeat("---|", len(s.Head)))
			for _, row := range s.Rows {
				fmt.Fprintf(&b, "| %s |\n", strings.ReplaceAll(strings.Join(row, " | "), "\n", " "))
			}
			b.WriteByte('\n')
		}
		for _, text := range s.After {
			fmt.Fprintf(&b, "%s\n\n", text)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"plain": plain,
	// The plots are drawn here, and what texts they hold is escaped by the library
	// that draws them: names of steps, which are ours.
	"drawn": func(svg string) template.HTML { return template.HTML(svg) },
}).Parse(pageText))

// page writes sections as a page of HTML that needs nothing from elsewhere.
func page(out io.Writer, sections []section) error { return pageTemplate.Execute(out, sections) }

// plain takes Markdown's marks off a text.
func plain(text string) string { return strings.NewReplacer("**", "", "*", "", "`", "").Replace(text) }
