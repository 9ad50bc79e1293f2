"""What happened: one durable journal entry per request; AuditEvents are built and delivered from it (IHE BALP).

Role: Audit Creator (ATNA, BALP). `entry` and `event` are pure; `journal` alone touches the disk.
"""
