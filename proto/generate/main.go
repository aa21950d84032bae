// Command generate writes the Go code of the .proto files beside them, and their
// descriptors for who speaks them in Python (scripts/load). With -check it writes
// nothing and fails if what is there is not what it would write. It needs Go only:
// no protoc, no buf.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// plugins are the generators, pinned.
var plugins = []string{
	"google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
	"google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
}

// described is the file of descriptors, from the folder proto.
const described = "../scripts/load/marimba.binpb"

func main() {
	check := flag.Bool("check", false, "fail if the generated code is stale; write nothing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run works in the folder proto, where go generate starts it.
func run(check bool) error {
	request, err := compile(".")
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	for _, plugin := range plugins {
		files, err := generate(plugin, request)
		if err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
		for _, f := range files {
			path := filepath.FromSlash(f.GetName())
			if check {
				have, err := os.ReadFile(path)
				if err != nil || !bytes.Equal(have, []byte(f.GetContent())) {
					return fmt.Errorf("proto/%s is stale: run go generate ./proto", path)
				}
				continue
			}
			if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
				return err
			}
		}
	}
	return writeDescriptors(request, check)
}

// writeDescriptors writes all descriptors, what is imported first, without their
// comments. Fresh is what says the same: no order of bytes is promised.
func writeDescriptors(request *pluginpb.CodeGeneratorRequest, check bool) error {
	set := new(descriptorpb.FileDescriptorSet)
	for _, f := range request.GetProtoFile() {
		bare := proto.CloneOf(f)
		bare.SourceCodeInfo = nil
		set.File = append(set.File, bare)
	}
	if check {
		have := new(descriptorpb.FileDescriptorSet)
		text, err := os.ReadFile(described)
		if err == nil {
			err = proto.Unmarshal(text, have)
		}
		if err != nil || !proto.Equal(have, set) {
			return errors.New("scripts/load/marimba.binpb is stale: run go generate ./proto")
		}
		return nil
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return err
	}
	return os.WriteFile(described, text, 0o644)
}

// compile returns the request for a plugin: all .proto files below root, with
// what they import first.
func compile(root string) (*pluginpb.CodeGeneratorRequest, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".proto") {
			names = append(names, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{root}},
			protocompile.ResolverFunc(googleRPC),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("paths=source_relative"),
	}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, describe(f))
	}
	for _, f := range files {
		add(f)
	}
	return request, nil
}

func describe(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	if source, ok := f.(interface {
		FileDescriptorProto() *descriptorpb.FileDescriptorProto
	}); ok {
		return source.FileDescriptorProto()
	}
	return protodesc.ToFileDescriptorProto(f)
}

// googleRPC resolves google/rpc/status.proto from its generated Go code.
func googleRPC(path string) (protocompile.SearchResult, error) {
	if f := status.File_google_rpc_status_proto; path == f.Path() {
		return protocompile.SearchResult{Desc: f}, nil
	}
	return protocompile.SearchResult{}, fs.ErrNotExist
}

func generate(plugin string, request *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	in, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.Command("go", "run", plugin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out.Bytes(), &response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, fmt.Errorf("plugin: %s", response.GetError())
	}
	return response.File, nil
}
