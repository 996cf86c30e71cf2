//! Implements the kernel's FUSE protocol for a [`OverlayFs`]: translates requests and answers, and
//! decides nothing.

use super::overlay_fs::{AttributeChanges, OverlayFs};
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::sys::statvfs::statvfs;
use std::ffi::OsStr;
use std::fs::{FileTimes, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the kernel may cache answers: files change only through it, and a power loss remounts.
const CACHE_TTL: Duration = Duration::from_secs(3_600);
/// Handles carry nothing: files are known by their nodes.
const HANDLE: FileHandle = FileHandle(0);

/// One mount of a layer.
pub(super) struct FuseServer(pub(super) Arc<OverlayFs>);

fn to_file_attr(node: u64, metadata: &Metadata) -> FileAttr {
    let time = |time: io::Result<SystemTime>| time.unwrap_or(SystemTime::UNIX_EPOCH);
    let since = Duration::new(
        u64::try_from(metadata.ctime()).unwrap_or(0),
        u32::try_from(metadata.ctime_nsec()).unwrap_or(0),
    );
    FileAttr {
        ino: INodeNo(node),
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: time(metadata.accessed()),
        mtime: time(metadata.modified()),
        ctime: SystemTime::UNIX_EPOCH + since,
        crtime: SystemTime::UNIX_EPOCH,
        kind: to_file_type(metadata.file_type()),
        perm: (metadata.permissions().mode() & 0o7777) as u16,
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn to_file_type(of: std::fs::FileType) -> FileType {
    match of {
        it if it.is_dir() => FileType::Directory,
        it if it.is_symlink() => FileType::Symlink,
        it if it.is_fifo() => FileType::NamedPipe,
        it if it.is_socket() => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

impl FuseServer {
    fn read_attributes(&self, node: u64) -> io::Result<FileAttr> {
        Ok(to_file_attr(node, &self.0.metadata(node)?))
    }

    fn reply_entry(&self, made: io::Result<u64>, reply: ReplyEntry) {
        match made.and_then(|node| self.read_attributes(node)) {
            Ok(attr) => reply.entry(&CACHE_TTL, &attr, Generation(0)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn list_directory(&self, node: u64, offset: u64, reply: &mut ReplyDirectory) -> io::Result<()> {
        let dots = [(".", node), ("..", self.0.parent(node))];
        let dots = dots.map(|(name, node)| (name.into(), node, FileType::Directory));
        let names = self.0.list_directory(node)?.into_iter();
        let names = names.map(|(name, node, of)| (name, node, to_file_type(of)));
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (place, (name, node, kind)) in (1..).zip(dots.into_iter().chain(names)).skip(skipped) {
            if reply.add(INodeNo(node), place, kind, &name) {
                break;
            }
        }
        Ok(())
    }

    fn reply_statfs(&self, reply: ReplyStatfs) {
        match statvfs(self.0.lower_dir()) {
            Ok(room) => reply.statfs(
                room.blocks(),
                room.blocks_free(),
                room.blocks_available(),
                room.files(),
                room.files_free(),
                u32::try_from(room.block_size()).unwrap_or(4096),
                u32::try_from(room.name_max()).unwrap_or(255),
                u32::try_from(room.fragment_size()).unwrap_or(4096),
            ),
            Err(errno) => reply.error(Errno::from_i32(errno as i32)),
        }
    }
}

fn reply_empty(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

fn to_system_time(wanted: TimeOrNow) -> SystemTime {
    match wanted {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

fn to_file_times(accessed: Option<TimeOrNow>, modified: Option<TimeOrNow>) -> FileTimes {
    let mut times = FileTimes::new();
    if let Some(wanted) = accessed {
        times = times.set_accessed(to_system_time(wanted));
    }
    if let Some(wanted) = modified {
        times = times.set_modified(to_system_time(wanted));
    }
    times
}

impl Filesystem for FuseServer {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.0.lookup(parent.0, name) {
            Ok((node, found)) => {
                reply.entry(&CACHE_TTL, &to_file_attr(node, &found), Generation(0))
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.read_attributes(node.0) {
            Ok(attr) => reply.attr(&CACHE_TTL, &attr),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let has_times = accessed.is_some() || modified.is_some();
        let times = to_file_times(accessed, modified);
        let wanted = AttributeChanges { mode, owner: (uid, gid), size, times, has_times };
        match self.0.set_attributes(node.0, &wanted).and_then(|()| self.read_attributes(node.0)) {
            Ok(attr) => reply.attr(&CACHE_TTL, &attr),
            Err(error) => reply.error(error.into()),
        }
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        match self.0.read_link(node.0) {
            Ok(target) => reply.data(target.as_os_str().as_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        self.reply_entry(self.0.make_directory(parent.0, name, mode & !umask), reply);
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        self.reply_entry(self.0.symlink(parent.0, name, target), reply);
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.reply_entry(self.0.link(node.0, parent.0, name).map(|()| node.0), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(self.0.unlink(parent.0, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(self.0.unlink(parent.0, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.intersects(!RenameFlags::RENAME_NOREPLACE) {
            return reply.error(Errno::EINVAL);
        }
        let (from, to) = ((parent.0, name.to_owned()), (new_parent.0, new_name.to_owned()));
        reply_empty(self.0.rename(&from, &to, flags.is_empty()), reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let made = self.0.create(parent.0, name, mode & !umask & 0o7777);
        match made.and_then(|node| self.read_attributes(node)) {
            Ok(attr) => {
                reply.created(&CACHE_TTL, &attr, Generation(0), HANDLE, FopenFlags::empty());
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn open(&self, _: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.open(node.0) {
            Ok(()) => reply.opened(HANDLE, FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error.into()),
        }
    }

    fn release(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        reply_empty(self.0.close(node.0), reply);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.read(node.0, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(node.0, offset, bytes) {
            Ok(()) => reply.written(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Closing a file makes nothing durable, and whatever was written is below already.
        reply.ok();
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, data: bool, reply: ReplyEmpty) {
        reply_empty(self.0.sync_file(node.0, data), reply);
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply_empty(self.0.sync_directory(node.0), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.list_directory(node.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.reply_statfs(reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        // Programs know how to do without: not every file system has it.
        reply.error(Errno::ENOTSUP);
    }
}
