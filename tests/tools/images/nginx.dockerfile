FROM stand-in/debian
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN groupadd --gid 101 nginx && useradd --uid 101 --gid nginx --no-create-home --shell /bin/false nginx \
 && apt-get update && apt-get install --yes --no-install-recommends curl nginx \
 && rm -rf /var/lib/apt/lists/* /etc/nginx/sites-* /etc/nginx/snippets \
 && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
COPY nginx /etc/nginx/
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
EXPOSE 80
