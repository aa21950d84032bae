package local

// The shapes of the manifests, as far as this package runs them. Fields of type
// any are known, and mean nothing on one machine.

type meta struct {
	Name        string
	Namespace   string
	Labels      map[string]string
	Annotations map[string]string
}

type head struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   meta
}

type configMapManifest struct {
	head `yaml:",inline"`
	Data map[string]string
}

type topicManifest struct {
	head `yaml:",inline"`
	Spec struct {
		Partitions int32
		Replicas   int16
		Config     map[string]string
	}
}

type sinkManifest struct {
	head `yaml:",inline"`
	Spec struct {
		BootstrapServers any `yaml:"bootstrapServers"`
		Topic            string
		ContentMode      string `yaml:"contentMode"`
		Auth             any
	}
}

type reference struct {
	Ref struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Name       string
	}
}

type sourceManifest struct {
	head `yaml:",inline"`
	Spec struct {
		Consumers        any
		ConsumerGroup    string `yaml:"consumerGroup"`
		BootstrapServers any    `yaml:"bootstrapServers"`
		Net              any
		Topics           []string
		InitialOffset    string `yaml:"initialOffset"`
		Ordering         string
		Delivery         struct {
			Timeout        string
			Retry          int
			BackoffPolicy  string    `yaml:"backoffPolicy"`
			BackoffDelay   string    `yaml:"backoffDelay"`
			DeadLetterSink reference `yaml:"deadLetterSink"`
		}
		Sink reference
	}
}

type serviceManifest struct {
	head `yaml:",inline"`
	Spec struct {
		Template struct {
			Metadata meta
			Spec     struct {
				ContainerConcurrency        int `yaml:"containerConcurrency"`
				TimeoutSeconds              int `yaml:"timeoutSeconds"`
				ResponseStartTimeoutSeconds int `yaml:"responseStartTimeoutSeconds"`
				EnableServiceLinks          any `yaml:"enableServiceLinks"`
				ServiceAccountName          any `yaml:"serviceAccountName"`
				AutomountToken              any `yaml:"automountServiceAccountToken"`
				Volumes                     []volumeManifest
				Containers                  []struct {
					Image string
					Ports []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
					Env             []envManifest
					ReadinessProbe  any `yaml:"readinessProbe"`
					Resources       any
					SecurityContext any `yaml:"securityContext"`
					VolumeMounts    []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
						ReadOnly  bool   `yaml:"readOnly"`
					} `yaml:"volumeMounts"`
				}
			}
		}
	}
}

type volumeManifest struct {
	Name      string
	ConfigMap struct{ Name string } `yaml:"configMap"`
	Secret    struct {
		SecretName string `yaml:"secretName"`
		Optional   bool
	}
}

type keyOf struct{ Name, Key string }

type envManifest struct {
	Name      string
	Value     string
	ValueFrom struct {
		ConfigMapKeyRef *keyOf `yaml:"configMapKeyRef"`
		SecretKeyRef    *keyOf `yaml:"secretKeyRef"`
	} `yaml:"valueFrom"`
}

func (e envManifest) variable() variable {
	v := variable{name: e.Name, value: e.Value}
	switch {
	case e.ValueFrom.ConfigMapKeyRef != nil:
		v.from, v.key = e.ValueFrom.ConfigMapKeyRef.Name, e.ValueFrom.ConfigMapKeyRef.Key
	case e.ValueFrom.SecretKeyRef != nil:
		v.secret = true
		v.from, v.key = e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key
	}
	return v
}
