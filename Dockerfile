# docker build -t lab . && docker run --rm -v "$PWD:/work" lab run ddpg_pendulum
FROM python:3.11-slim

COPY . /src
# PyTorch's wheels for the CPU, whose index uv knows by name; --torch-backend cu130 gives those for CUDA 13.
RUN pip install --no-cache-dir --constraint /src/constraints.txt uv \
    && uv pip install --system --no-cache --torch-backend cpu --constraint /src/constraints.txt /src

# Runs are written to the folder that is mounted here; MLflow's interface is served by: lab ui --host 0.0.0.0
WORKDIR /work
EXPOSE 5000
ENTRYPOINT ["lab"]
CMD ["--help"]
