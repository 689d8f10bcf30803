"""A Python with what models/training needs: this one, else the one that CLIPTAG_TRAINING_PYTHON names;
without either the test is skipped. Import it first."""
import importlib.util
import os
import sys

SOURCE = os.environ.get('CLIPTAG_SOURCE_ROOT', os.path.join(os.path.dirname(__file__), '..', '..'))
TRAINING = os.path.abspath(os.path.join(SOURCE, 'models', 'training'))
NEEDED = {'torch': 'torch', 'numpy': 'numpy', 'PIL': 'pillow', 'safetensors': 'safetensors', 'ftfy': 'ftfy',
          'regex': 'regex'}

missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
other = os.environ.get('CLIPTAG_TRAINING_PYTHON')
if missing and other and os.environ.get('CLIPTAG_TRAINING_TRIED') != other:
    os.environ['CLIPTAG_TRAINING_TRIED'] = other
    try:
        os.execv(other, [other, *sys.argv])
    except OSError as e:
        sys.exit(f'CLIPTAG_TRAINING_PYTHON names {other}, which cannot be run: {e.strerror}.')
if missing and other:
    sys.exit(f'CLIPTAG_TRAINING_PYTHON names {other}, which lacks {", ".join(missing)}.')
if missing:
    print(f'no {", ".join(missing)} here: pip install -r models/training/requirements.txt somewhere and name '
          'that Python in CLIPTAG_TRAINING_PYTHON')
    sys.exit(77)
sys.path.insert(0, TRAINING)
