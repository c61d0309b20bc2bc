# class: data
# shows: EmptyDataError: No columns to parse from file
# needs: pandas
import io
import pandas
pandas.read_csv(io.StringIO(""))
