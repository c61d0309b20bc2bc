# Kaggle's client of its secrets exists only there: helper.py says what that one says.
# class: access
# shows: BackendError: .*No user secrets exist
from helper import UserSecretsClient
UserSecretsClient().get_secret("API_KEY")
