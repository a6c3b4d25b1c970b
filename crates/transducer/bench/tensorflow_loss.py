"""The package `rnnt` in a TensorFlow graph, which is how it is meant to be used."""

import importlib.metadata

import numpy
import tensorflow as tf
from protocol import THREADS, serve
from rnnt import rnnt_loss

tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def make(inputs):
    logits = tf.constant(numpy.array(inputs["logits"]))
    # It computes with the labels as 64-bit indices.
    targets = tf.constant(numpy.array(inputs["targets"], numpy.int64))
    frames, labels = (tf.constant(numpy.array(inputs[name], numpy.int64)) for name in ("logit_lengths", "target_lengths"))

    @tf.function(input_signature=[tf.TensorSpec(logits.shape, tf.float32)])
    def graph(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = rnnt_loss(logits, targets, labels, frames)
        return loss, tape.gradient(loss, logits)

    def call():
        loss, gradient = graph(logits)
        return loss.numpy(), {"logits": gradient}

    return call, call


serve(f"rnnt {importlib.metadata.version('rnnt')}, tensorflow {tf.__version__}", make)
