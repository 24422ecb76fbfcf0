"""The Chat page: the conversation, its answers in columns, and the live grid."""
