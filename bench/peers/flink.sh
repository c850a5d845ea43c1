#!/bin/bash
# flink.sh CACHE [options of flink.py]: NEXMark queries in Flink and in millstream, on the same file of events; answers compared, rates side by side.
# CACHE: a folder outside the repository for Flink's jars (Maven, about 100 MB, the first time), classes and events.
# Ends with 77 where java, javac, mvn or the artefacts are missing.
set -eu
cd "$(dirname "$0")/flink"
[ $# -ge 1 ] || { sed -n 2,4p ../flink.sh; exit 64; }
mkdir -p "$1"
cache=$(cd "$1" && pwd); shift
for tool in java javac mvn python3; do
    command -v $tool > /dev/null || { echo "flink: skipped: there is no $tool"; exit 77; }
done
version=$(sed -n 's#.*<flink.version>\(.*\)</flink.version>.*#\1#p' pom.xml)
if [ ! -e "$cache/lib-$version/complete" ]; then
    mvn -B -q -Dmaven.repo.local="$cache/maven" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$cache/lib-$version" > "$cache/maven.log" 2>&1 ||
        { echo "flink: skipped: Maven does not get Flink $version: $(grep -m 1 ERROR "$cache/maven.log")"; exit 77; }
    touch "$cache/lib-$version/complete"
fi
javac -cp "$cache/lib-$version/*" -d "$cache/classes-$version" src/main/java/millstream/bench/*.java
exec python3 ../flink.py --classes "$cache/classes-$version:$cache/lib-$version/*" --flink-version "$version" --data "$cache" "$@"
