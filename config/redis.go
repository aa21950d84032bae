package config

import _ "embed"

// RedisSettings is redis/redis.conf: what the counts need of a Redis server.
//
//go:embed redis/redis.conf
var RedisSettings string
