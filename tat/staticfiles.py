"""Static files outside DEBUG: hashed names, compressed, with the imports between JavaScript modules hashed too."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):
    """Rewrites `import … from "./x.js";` to the hashed name; without it a browser mixes old and new modules."""

    support_js_module_import_aggregation = True
