package rules

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"marimba/events"
)

// instance is a module at work, with a memory of its own. It is for one call at
// a time, and after an error for none: what its memory holds then is not known.
type instance struct {
	of          *source
	module      api.Module
	memory      api.Memory
	room        api.Function
	judge, read api.Function
	at, size    uint32          // where the next call's bytes go, and how many fit there
	stack       [2]uint64       // a function's parameters, and its result
	kept        strings.Builder // texts of ballots; they are never written again

	// The timer of a watched instance ends ctx, and with it the call.
	ctx   context.Context
	timer *time.Timer
	limit time.Duration
}

// start makes an instance and gives it a contest, unless that is nil.
func (m *module) start(contest *events.Contest) (*instance, error) {
	in := &instance{ctx: context.Background(), limit: m.limit}
	if m.limit > 0 {
		ctx, cut := context.WithCancel(context.Background())
		in.ctx, in.timer = ctx, time.AfterFunc(startLimit, cut)
		defer in.timer.Stop()
	}
	var err error
	in.module, err = m.runtime.InstantiateModule(in.ctx, m.compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, fmt.Errorf("start: %w", brief(err))
	}
	in.memory = in.module.Memory()
	in.room = in.module.ExportedFunction("room")
	in.judge = in.module.ExportedFunction("judge")
	in.read = in.module.ExportedFunction("read")
	if take := in.module.ExportedFunction("contest"); take != nil && contest != nil {
		if err := in.give(take, contest); err != nil {
			in.close()
			return nil, fmt.Errorf("give it the contest: %w", err)
		}
	}
	return in, nil
}

func (in *instance) give(take api.Function, contest *events.Contest) error {
	terms, err := termsOf(contest)
	if err != nil {
		return err
	}
	place, err := in.open(len(terms))
	if err != nil {
		return err
	}
	copy(place, terms)
	a, err := in.call(take, len(terms), 0)
	if err != nil || a.kind == admitted {
		return err
	}
	return a.fault()
}

// close lets go of the instance's memory.
func (in *instance) close() {
	_ = in.module.Close(context.Background()) // it holds nothing that could be lost
}

// open returns the place where the n bytes of the next call go.
func (in *instance) open(n int) ([]byte, error) {
	if n > math.MaxInt32 {
		return nil, errors.New("more than fits")
	}
	if uint32(n) > in.size {
		size := max(n, leastRoom)
		in.stack[0] = uint64(size)
		if err := in.room.CallWithStack(in.ctx, in.stack[:]); err != nil {
			return nil, brief(err)
		}
		at := uint32(in.stack[0])
		if at == 0 {
			return nil, fmt.Errorf("no room for %d bytes", size)
		}
		if _, ok := in.memory.Read(at, uint32(size)); !ok {
			return nil, errOutside
		}
		in.at, in.size = at, uint32(size)
	}
	place, ok := in.memory.Read(in.at, uint32(n))
	if !ok {
		return nil, errOutside
	}
	return place, nil
}

// call calls a function about the bytes that were written, and returns its
// answer, which holds until the next call.
func (in *instance) call(f api.Function, length, flag int) (answer, error) {
	in.stack = [2]uint64{uint64(length), uint64(flag)}
	if err := f.CallWithStack(in.ctx, in.stack[:]); err != nil {
		return answer{}, brief(err)
	}
	return in.answer(uint32(in.stack[0]))
}

// leastRoom is what is asked for at first: any vote fits.
const leastRoom = 2 << 10

var (
	errOutside = errors.New("a place outside of its memory")
	errCutOff  = errors.New("it was cut off: it took too long")
)
