"""`healthy.py PORT`: exit 0 when the service on this port of the container takes work, 1 when it does not.

Run by the image's own Python every few seconds, so that it loads nothing of the service.
"""

import http.client
import sys


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=4)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        told = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer: {error}")
        return 1
    print(told)
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
