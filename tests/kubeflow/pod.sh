# Runs a command as in a container of its own: pod.sh ROOT FOLDERS KEPT COMMAND...
# ROOT: an empty folder, which becomes the root. FOLDERS: holds minio, s3, gcs and tmp, which only
# this pod has. KEPT: a folder that is there even if it lies in /tmp.
set -eu
root=$1 folders=$2 kept=$3
shift 3
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
for entry in /*; do
    case $entry in /minio | /s3 | /gcs | /scratch | /tmp) continue ;; esac
    if [ -L "$entry" ]; then
        cp -P "$entry" "$root"
    elif [ -d "$entry" ]; then
        mkdir "$root$entry"
        mount --rbind "$entry" "$root$entry"
    fi
done
for name in minio s3 gcs scratch tmp; do
    mkdir -p "$root/$name" "$folders/$name"
    mount --bind "$folders/$name" "$root/$name"
done
case $kept in /tmp/*)
    mkdir -p "$root$kept"
    mount --rbind "$kept" "$root$kept"
    ;;
esac
exec chroot "$root" "$@"
