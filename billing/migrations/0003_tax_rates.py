"""The standard rates of the EU's countries, as far as they matter to charges that may still be billed."""

from datetime import date
from decimal import Decimal

from django.db import migrations

RATES = {
    "AT": [("1984-01-01", "20")],
    "BE": [("1996-01-01", "21")],
    "BG": [("1999-01-01", "20")],
    "CY": [("2014-01-13", "19")],
    "CZ": [("2013-01-01", "21")],
    "DE": [
        ("1993-01-01", "15"),
        ("1998-04-01", "16"),
        ("2007-01-01", "19"),
        ("2020-07-01", "16"),
        ("2021-01-01", "19"),
    ],
    "DK": [("1992-01-01", "25")],
    "EE": [("2009-07-01", "20"), ("2024-01-01", "22"), ("2025-07-01", "24")],
    "ES": [("2012-09-01", "21")],
    "FI": [("2013-01-01", "24"), ("2024-09-01", "25.5")],
    "FR": [("1995-08-01", "20.6"), ("2000-04-01", "19.6"), ("2014-01-01", "20")],
    "GR": [("2016-06-01", "24")],
    "HR": [("2012-03-01", "25")],
    "HU": [("2012-01-01", "27")],
    "IE": [("2012-01-01", "23"), ("2020-09-01", "21"), ("2021-03-01", "23")],
    "IT": [("2013-10-01", "22")],
    "LT": [("2009-09-01", "21")],
    "LU": [("2015-01-01", "17"), ("2023-01-01", "16"), ("2024-01-01", "17")],
    "LV": [("2012-07-01", "21")],
    "MT": [("2004-01-01", "18")],
    "NL": [("2012-10-01", "21")],
    "PL": [("2011-01-01", "23")],
    "PT": [("2011-01-01", "23")],
    "RO": [("2017-01-01", "19"), ("2025-08-01", "21")],
    "SE": [("1990-07-01", "25")],
    "SI": [("2013-07-01", "22")],
    "SK": [("2011-01-01", "20"), ("2025-01-01", "23")],
}


def enter(apps, schema_editor):
    rows = [
        apps.get_model("billing", "TaxRate")(country=country, since=date.fromisoformat(since), percent=Decimal(percent))
        for country, known in RATES.items()
        for since, percent in known
    ]
    apps.get_model("billing", "TaxRate").objects.bulk_create(rows, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_trade")]
    operations = [migrations.RunPython(enter, migrations.RunPython.noop)]
