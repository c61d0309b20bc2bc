# class: data
# shows: ^ValueError: (shapes|matmul)
# needs: numpy
import numpy
numpy.ones((3, 4)).dot(numpy.ones((5, 2)))
