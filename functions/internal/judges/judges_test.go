package judges

import (
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/rules"
)

// changing is a contest that changes while votes for it are judged.
type changing struct {
	mu      sync.Mutex
	contest events.Contest
	gone    bool
}

func (c *changing) Contest(id string) (events.Contest, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contest, id == c.contest.ID && !c.gone
}

func (c *changing) become(revision string, closesAt time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contest.Revision, c.contest.ClosesAt = revision, closesAt
}

var closes = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func opened() *changing {
	return &changing{contest: events.Contest{ID: "show", Revision: "1", OpenRoster: true, RankMax: 1000, YearMin: 1900, ClosesAt: closes}}
}

func voteAt(at time.Time) events.Vote {
	return events.Vote{Name: "Trébol", Year: 1999, Rank: 100, At: at}
}

func judged(t *testing.T, r *rules.Rules, v *events.Vote) *events.Refusal {
	t.Helper()
	no, err := r.Judge(v)
	if err != nil {
		t.Error(err)
	}
	return no
}

// A vote is judged by the contest as it stands when it is judged; the rules are
// made ready once for each revision.
func TestJudgesFollowTheContest(t *testing.T) {
	contests := opened()
	j := Of(contests)
	first := j.For("show")
	v := voteAt(closes)
	if no := judged(t, first, &v); no == nil || no.Code != events.TooLate || no.Params["closes_at"] != "2026-11-24T12:00:00Z" {
		t.Errorf("a late vote is answered %+v", no)
	}
	if j.For("show") != first {
		t.Error("the rules are made ready twice")
	}
	contests.become("2", closes.Add(time.Hour))
	if no := judged(t, j.For("show"), &v); no != nil {
		t.Errorf("after an extension the vote is answered %v", no)
	}
	if j.For("nowhere") != nil {
		t.Error("there are rules for a contest that there is not")
	}
	contests.gone = true
	if j.For("show") != nil {
		t.Error("there are rules for a contest that is gone")
	}
}

// While a contest changes, each vote is judged by one of its revisions.
func TestJudgesWhileTheContestChanges(t *testing.T) {
	contests := opened()
	j := Of(contests)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				v := voteAt(closes.Add(-time.Second))
				if no := judged(t, j.For("show"), &v); no != nil {
					t.Errorf("a vote that is in time by each revision is answered %v", no)
				}
			}
		})
	}
	for i := range 200 {
		contests.become(string(rune('a'+i%26)), closes.Add(time.Duration(i)*time.Second))
	}
	all.Wait()
	contests.become("last", closes.Add(-time.Hour))
	v := voteAt(closes)
	if no := judged(t, j.For("show"), &v); no == nil || no.Params["closes_at"] != "2026-11-24T11:00:00Z" {
		t.Errorf("in the end it is answered %+v", no)
	}
}
