"""Programs: functions of tensors recorded once, which run, compile, differentiate, print and save anywhere."""
