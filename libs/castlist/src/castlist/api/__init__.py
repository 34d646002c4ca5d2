"""What the services answer over HTTP, and what they are asked: one model a resource, for the service, its OpenAPI
document, and the client.

The services write them without checking (`query_api.http.rendering`); a test holds what they write to these models.
Fields that a newer service adds are kept by an older client.
"""
