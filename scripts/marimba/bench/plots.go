package main

import (
	"bytes"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes of a plot.
const (
	plotWidth = 18 * vg.Centimeter
	barHeight = 0.75 * vg.Centimeter
)

var (
	barColor  = color.RGBA{R: 0x2f, G: 0x6f, B: 0x8f, A: 0xff}
	lineColor = []color.RGBA{{R: 0x2f, G: 0x6f, B: 0x8f, A: 0xff}, {R: 0xc4, G: 0x56, B: 0x1f, A: 0xff}, {R: 0x5b, G: 0x7f, B: 0x2b, A: 0xff}, {R: 0x7a, G: 0x4f, B: 0x9a, A: 0xff}, {R: 0x8a, G: 0x8a, B: 0x8a, A: 0xff}}
)

// newPlot is a plot whose texts are as wide as those of the page: browsers draw them
// in a font of their own, and the plot has to leave room for it.
func newPlot() *plot.Plot {
	plot.DefaultFont.Variant = "Sans"
	return plot.New()
}

// speedPlot shows a figure of steps as bars with their confidence intervals. The
// scale is logarithmic: a bulk does a hundred times what one vote a request does.
func speedPlot(lines []line, says string, of func(line) figure) plotted {
	var bars intervals
	var names []string
	for i := len(lines) - 1; i >= 0; i-- { // the first is on top
		if f := of(lines[i]); f.N > 0 && f.Mean > 0 {
			bars = append(bars, interval{float64(len(names)), f})
			names = append(names, lines[i].Step+"   ") // room for a wider font
		}
	}
	if len(bars) == 0 {
		return plotted{Says: says}
	}
	p := newPlot()
	p.X.Label.Text = says
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	least, most := math.Inf(1), 0.0
	for _, b := range bars {
		least, most = min(least, b.figure.Mean), max(most, b.figure.Mean+b.figure.Half)
	}
	p.X.Min, p.X.Max = math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))
	p.Y.Min, p.Y.Max = -0.6, float64(len(bars))-0.4
	p.NominalY(names...)
	p.Add(plotter.NewGrid(), bars)
	return plotted{says, svg(p, vg.Length(len(bars)+2)*barHeight)}
}

// interval is a bar at a height with its confidence interval.
type interval struct {
	at     float64
	figure figure
}

// intervals draws bars that begin at the left end of a logarithmic scale, where a
// bar chart of the library would begin at nothing.
type intervals []interval

// Plot implements plot.Plotter.
func (b intervals) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	line := draw.LineStyle{Color: color.Black, Width: vg.Points(1)}
	for _, one := range b {
		low, high := y(one.at-0.3), y(one.at+0.3)
		end := x(one.figure.Mean)
		c.FillPolygon(barColor, []vg.Point{{X: c.Min.X, Y: low}, {X: end, Y: low}, {X: end, Y: high}, {X: c.Min.X, Y: high}})
		if one.figure.Half > 0 {
			from := x(max(p.X.Min, one.figure.Mean-one.figure.Half))
			c.StrokeLine2(line, from, y(one.at), x(one.figure.Mean+one.figure.Half), y(one.at))
		}
	}
}

// tailPlot shows the latencies of steps by percentile, each nine of it as wide as the
// one before.
func (r report) tailPlot(ground string, steps []string, says string, of func(measured) []byte) (plotted, error) {
	p := newPlot()
	p.X.Label.Text, p.Y.Label.Text = "percentile of requests", "ms"
	p.X.Min, p.X.Max = 0, 3.1
	p.X.Tick.Marker = plot.ConstantTicks{{Value: math.Log10(2), Label: "50"}, {Value: 1, Label: "90"}, {Value: 2, Label: "99"}, {Value: 3, Label: "99.9"}}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	drawn := false
	for i, step := range steps {
		var all [][]byte
		for _, m := range r.Rounds {
			if m.Ground == ground && m.Step == step {
				all = append(all, of(m))
			}
		}
		h, err := merged(all...)
		if err != nil {
			return plotted{}, err
		}
		if h.TotalCount() == 0 {
			continue
		}
		var points plotter.XYs
		for x := 0.1; x <= 3; x += 0.05 {
			points = append(points, plotter.XY{X: x, Y: max(0.01, float64(h.ValueAtQuantile(100*(1-math.Pow(10, -x))))/1000)})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return plotted{}, err
		}
		line.Color, line.Width = lineColor[i%len(lineColor)], vg.Points(2)
		p.Add(line)
		p.Legend.Add(step, line)
		drawn = true
	}
	if !drawn {
		return plotted{Says: says}, nil
	}
	return plotted{says, svg(p, 9*vg.Centimeter)}, nil
}

// flatPlot shows costs as the votes grow, each as a multiple of its first.
func flatPlot(rungs []rung) plotted {
	const says = "cost, times that at the first rung, against votes"
	p := newPlot()
	p.X.Label.Text, p.Y.Label.Text = "votes", "times"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for i, of := range []struct {
		name string
		cost func(rung) float64
	}{
		{"functions", func(r rung) float64 { return r.CPU }}, {"board", func(r rung) float64 { return r.Board }},
		{"receipt", func(r rung) float64 { return r.Receipt }}, {"audit a vote", func(r rung) float64 { return r.AuditOne }},
	} {
		var points plotter.XYs
		for _, r := range rungs {
			if first := of.cost(rungs[0]); first > 0 {
				points = append(points, plotter.XY{X: float64(r.Votes), Y: of.cost(r) / first})
			}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			continue // there is nothing to draw
		}
		line.Color, line.Width = lineColor[i], vg.Points(2)
		p.Add(line)
		p.Legend.Add(of.name, line)
	}
	return plotted{says, svg(p, 9*vg.Centimeter)}
}

// svg draws a plot to be put into a page.
func svg(p *plot.Plot, height vg.Length) string {
	canvas := vgsvg.New(plotWidth, height)
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "" // a buffer takes everything
	}
	text := out.String()
	if at := strings.Index(text, "<svg"); at > 0 {
		text = text[at:]
	}
	return text
}
