"""Outside services and graders: plain arguments in, frozen dataclasses out; nothing here touches the ORM."""
