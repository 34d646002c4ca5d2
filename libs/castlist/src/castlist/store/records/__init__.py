"""What lies in MongoDB, one noun a module: its records, the parts of them that are read without the rest, and the
collections they lie in.

Fields that a newer version wrote are passed over when a record is read, and stay in MongoDB when one is changed: a
change names the fields that it is about. A field that comes later has a default, which stands for records of before.
Warnings were codes alone in 0.1.0: `castlist.contract.video_warnings.as_warning` reads both.
"""
