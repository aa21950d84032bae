package knative

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// What is here has no Go types that are to be had: as much of them as the
// manifests use, after the CustomResourceDefinitions.

// kafkaSource is sources.knative.dev/v1.
type kafkaSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Consumers         *int32                       `json:"consumers"`
		BootstrapServers  []string                     `json:"bootstrapServers"`
		Topics            []string                     `json:"topics"`
		ConsumerGroup     string                       `json:"consumerGroup"`
		InitialOffset     string                       `json:"initialOffset"`
		Ordering          string                       `json:"ordering"`
		Delivery          *eventingduckv1.DeliverySpec `json:"delivery"`
		Net               *kafkaNet                    `json:"net"`
		duckv1.SourceSpec `json:",inline"`
	} `json:"spec"`
}

type kafkaNet struct {
	SASL struct {
		Enable   bool      `json:"enable"`
		Type     fromValue `json:"type"`
		User     fromValue `json:"user"`
		Password fromValue `json:"password"`
	} `json:"sasl"`
	TLS struct {
		Enable bool      `json:"enable"`
		CACert fromValue `json:"caCert"`
	} `json:"tls"`
}

type fromValue struct {
	SecretKeyRef *corev1.SecretKeySelector `json:"secretKeyRef"`
}

// kafkaSink is eventing.knative.dev/v1alpha1.
type kafkaSink struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		BootstrapServers []string `json:"bootstrapServers"`
		Topic            string   `json:"topic"`
		ContentMode      string   `json:"contentMode"`
		Auth             *struct {
			Secret struct {
				Ref struct {
					Name string `json:"name"`
				} `json:"ref"`
			} `json:"secret"`
		} `json:"auth"`
	} `json:"spec"`
}

// kafkaTopic, kafkaUser, kafkaCluster and kafkaNodePool are kafka.strimzi.io/v1.
type kafkaTopic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Partitions int32          `json:"partitions"`
		Replicas   int32          `json:"replicas"`
		Config     map[string]any `json:"config"`
	} `json:"spec"`
}

type kafkaUser struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Authentication struct {
			Type     string `json:"type"`
			Password struct {
				ValueFrom fromValue `json:"valueFrom"`
			} `json:"password"`
		} `json:"authentication"`
		Authorization struct {
			Type string `json:"type"`
			ACLs []struct {
				Resource struct {
					Type        string `json:"type"`
					Name        string `json:"name"`
					PatternType string `json:"patternType"`
				} `json:"resource"`
				Operations []string `json:"operations"`
			} `json:"acls"`
		} `json:"authorization"`
	} `json:"spec"`
}

type kafkaCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Kafka struct {
			Version       string          `json:"version"`
			Listeners     []kafkaListener `json:"listeners"`
			Config        map[string]any  `json:"config"`
			Authorization *struct {
				Type string `json:"type"`
			} `json:"authorization"`
		} `json:"kafka"`
		EntityOperator struct {
			TopicOperator *sized `json:"topicOperator"`
			UserOperator  *sized `json:"userOperator"`
			Template      struct {
				Pod                    strimziPod       `json:"pod"`
				TopicOperatorContainer strimziContainer `json:"topicOperatorContainer"`
				UserOperatorContainer  strimziContainer `json:"userOperatorContainer"`
			} `json:"template"`
		} `json:"entityOperator"`
		KafkaExporter struct {
			sized
			TopicRegex string `json:"topicRegex"`
			GroupRegex string `json:"groupRegex"`
			Template   struct {
				Pod       strimziPod       `json:"pod"`
				Container strimziContainer `json:"container"`
			} `json:"template"`
		} `json:"kafkaExporter"`
	} `json:"spec"`
}

type kafkaListener struct {
	Name           string `json:"name"`
	Port           int32  `json:"port"`
	Type           string `json:"type"`
	TLS            bool   `json:"tls"`
	Authentication struct {
		Type string `json:"type"`
	} `json:"authentication"`
	Configuration struct {
		BrokerCertChainAndKey struct {
			SecretName  string `json:"secretName"`
			Certificate string `json:"certificate"`
			Key         string `json:"key"`
		} `json:"brokerCertChainAndKey"`
	} `json:"configuration"`
	NetworkPolicyPeers []networkingv1.NetworkPolicyPeer `json:"networkPolicyPeers"`
}

type kafkaNodePool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		sized
		Replicas int32    `json:"replicas"`
		Roles    []string `json:"roles"`
		Storage  struct {
			Type    string `json:"type"`
			Volumes []struct {
				ID            int32  `json:"id"`
				Type          string `json:"type"`
				Size          string `json:"size"`
				KRaftMetadata string `json:"kraftMetadata"`
				DeleteClaim   bool   `json:"deleteClaim"`
			} `json:"volumes"`
		} `json:"storage"`
		JVMOptions map[string]string `json:"jvmOptions"`
		Template   struct {
			Pod            strimziPod       `json:"pod"`
			KafkaContainer strimziContainer `json:"kafkaContainer"`
		} `json:"template"`
	} `json:"spec"`
}

type sized struct {
	Resources corev1.ResourceRequirements `json:"resources"`
}

type strimziPod struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	SecurityContext           *corev1.PodSecurityContext        `json:"securityContext"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints"`
}

type strimziContainer struct {
	SecurityContext *corev1.SecurityContext `json:"securityContext"`
}

// kustomization is as much of kustomize.config.k8s.io/v1beta1 as base uses.
type kustomization struct {
	metav1.TypeMeta `json:",inline"`
	Resources       []string `json:"resources"`
}
