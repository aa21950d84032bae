package rules

import (
	"context"
	_ "embed"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// Bounds of an instance.
const (
	housePages = 1024                   // of 64 KiB: a contest's file of 1 MiB fits, whatever is in it
	callLimit  = 500 * time.Millisecond // of a vote, in a contest's own module
	startLimit = 2 * time.Second        // of the start of an instance, with its contest
)

//go:embed rules.wasm
var houseCode []byte

// house is the module that every vote is judged by. It is ours, and its loops
// are bounded by what it is given; so it is compiled to machine code, and runs
// without a watch, which would cost a call more than its work.
var house = sync.OnceValues(func() (*module, error) {
	m, err := compile(houseCode, wazero.NewRuntimeConfig().WithMemoryLimitPages(housePages))
	if err != nil {
		return nil, fmt.Errorf("the house's rules: %w", err)
	}
	return m, nil
})

// module is rules in WebAssembly, of which any number of instances can be made.
type module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	limit    time.Duration // of a call, by the clock; 0: it is not watched
}

func compile(code []byte, config wazero.RuntimeConfig) (m *module, err error) {
	// The runtime's validation panics at some code that is not valid.
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("its code is not valid: %v", p)
		}
	}()
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, config)
	compiled, err := runtime.CompileModule(ctx, code)
	if err != nil {
		_ = runtime.Close(ctx) // nothing runs in it
		return nil, brief(err)
	}
	return &module{runtime: runtime, compiled: compiled}, nil
}
