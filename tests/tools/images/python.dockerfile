FROM stand-in/debian
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHON_VERSION=VERSION
COPY python /usr/local/
RUN ldconfig && ln -sf python3 /usr/local/bin/python && python3 -m ensurepip --default-pip && rm -rf /root/.cache
CMD ["python3"]
