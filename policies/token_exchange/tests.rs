mod desk;
mod modern;
mod options;
mod sending;
mod sessions;
