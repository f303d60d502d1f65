/* Segments images with an exported model through nothing but TensorFlow's C API.

       segment FOLDER INPUT OUTPUT < requests

   FOLDER is a version folder, INPUT and OUTPUT are the names of a signature's tensors, as told by
   `saved_model_cli show --dir FOLDER --tag_set serve --signature_def classes`. To compile (c_program.py does it):

       T=$(python -c "import tensorflow as tf; print(tf.sysconfig.get_lib())")
       cc -std=c11 -I$T/include segment.c -o segment -L$T -Wl,-rpath,$T -l:libtensorflow_cc.so.2 \
           -l:libtensorflow_framework.so.2

   A request is a line "IMAGE ANSWER DIMENSION ...": IMAGE is a file of values in C order, of the shape that the
   dimensions name and of INPUT's dtype; ANSWER is written alike. A file for a string tensor is its one string.
   File names hold no white space.

   Standard output has a line "loaded BYTES", then a line a request, either "0 DIMENSION ..." (the shape of the answer)
   or "CODE MESSAGE" (a TF_Code and what TensorFlow said), then a line "peak BYTES". BYTES is the most memory that the
   process had held by then. The exit status is 1 if the model did not load or a request was refused, 2 after wrong use.
 */

#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define MAX_RANK 8

/* What tensorflow_model_server calls before it loads a model: a graph that asks for XLA then fails. The C API has no
   such switch; the library exports it by its C++ name, from tensorflow/compiler/jit/flags.h. */
void disable_xla_compilation(void) __asm__("_ZN10tensorflow21DisableXlaCompilationEv");

static void fail(int status, const char* message) {
  fprintf(stderr, "%s\n", message);
  exit(status);
}

/* From /proc and not by getrusage, whose figure begins with what the parent held when it started this process. */
static void print_peak(const char* name) {
  FILE* file = fopen("/proc/self/status", "r");
  char line[256];
  long kilobytes = 0;
  while (file != NULL && kilobytes == 0 && fgets(line, sizeof line, file)) sscanf(line, "VmHWM: %ld kB", &kilobytes);
  if (kilobytes == 0) fail(1, "Expected a line VmHWM in /proc/self/status.");
  fclose(file);
  printf("%s %ld\n", name, kilobytes * 1024);
  fflush(stdout);
}

static void print_status(const TF_Status* status) {
  printf("%d ", TF_GetCode(status));
  for (const char* letter = TF_Message(status); *letter; letter++) putchar(*letter == '\n' ? ' ' : *letter);
  putchar('\n');
}

static TF_Output find_tensor(TF_Graph* graph, const char* name) {
  char operation[4096];
  TF_Output tensor = {NULL, 0};
  if (sscanf(name, "%4095[^:]:%d", operation, &tensor.index) == 2)
    tensor.oper = TF_GraphOperationByName(graph, operation);
  if (tensor.oper == NULL || tensor.index < 0 || tensor.index >= TF_OperationNumOutputs(tensor.oper))
    fail(2, "Expected the name of a tensor, such as serving_default_images:0.");
  return tensor;
}

static void free_string(void* data, size_t length, void* unused) {
  (void)length, (void)unused;
  TF_StringDealloc(data);
  free(data);
}

/* A tensor that `file` fills to its last byte. */
static TF_Tensor* read_tensor(FILE* file, TF_DataType dtype, const int64_t* shape, int rank) {
  fseek(file, 0, SEEK_END);
  size_t size = ftell(file), expected = TF_DataTypeSize(dtype);
  rewind(file);
  char* bytes;
  TF_Tensor* tensor;
  if (dtype == TF_STRING) {
    TF_TString* string = malloc(sizeof *string);
    TF_StringInit(string);
    bytes = TF_TString_ResizeUninitialized(string, expected = size);
    tensor = TF_NewTensor(dtype, shape, rank, string, sizeof *string, free_string, NULL);
  } else {
    for (int axis = 0; axis < rank; axis++) expected *= shape[axis];
    tensor = TF_AllocateTensor(dtype, shape, rank, expected);
    bytes = TF_TensorData(tensor);
  }
  if (size != expected || fread(bytes, 1, size, file) != size) fail(2, "Expected a file that fills the shape.");
  return tensor;
}

static void write_tensor(FILE* file, const TF_Tensor* tensor) {
  const char* bytes = TF_TensorData(tensor);
  size_t size = TF_TensorByteSize(tensor);
  if (TF_TensorType(tensor) == TF_STRING) {
    size = TF_StringGetSize((const TF_TString*)bytes);
    bytes = TF_StringGetDataPointer((const TF_TString*)bytes);
  }
  if (fwrite(bytes, 1, size, file) != size || fclose(file) != 0) fail(1, "Expected to write the answer.");
}

/* Whether the request that `line` names was answered. */
static int answer(TF_Session* session, TF_Output input, TF_Output output, char* line) {
  int64_t shape[MAX_RANK];
  int rank = 0;
  const char *image = strtok(line, " \n"), *result = strtok(NULL, " \n");
  for (char* size; rank < MAX_RANK && (size = strtok(NULL, " \n")); rank++) shape[rank] = strtoll(size, NULL, 10);
  FILE* file = image && result ? fopen(image, "rb") : NULL;
  if (file == NULL) fail(2, "Expected a line of image file, answer file and dimensions.");
  TF_Tensor *fed = read_tensor(file, TF_OperationOutputType(input), shape, rank), *fetched = NULL;
  fclose(file);

  TF_Status* status = TF_NewStatus();
  TF_SessionRun(session, NULL, &input, &fed, 1, &output, &fetched, 1, NULL, 0, NULL, status);
  int answered = TF_GetCode(status) == TF_OK;
  if (answered) {
    FILE* written = fopen(result, "wb");
    if (written == NULL) fail(1, "Expected to write the answer.");
    write_tensor(written, fetched);
    printf("0");
    for (int axis = 0; axis < TF_NumDims(fetched); axis++) printf(" %lld", (long long)TF_Dim(fetched, axis));
    printf("\n");
    TF_DeleteTensor(fetched);
  } else {
    print_status(status);
  }
  fflush(stdout);
  TF_DeleteTensor(fed);
  TF_DeleteStatus(status);
  return answered;
}

int main(int count, char** arguments) {
  if (count != 4) fail(2, "Expected three arguments: version folder, input tensor, output tensor.");
  disable_xla_compilation();
  TF_Status* status = TF_NewStatus();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Graph* graph = TF_NewGraph();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, NULL, status);
  if (TF_GetCode(status) != TF_OK) {
    print_status(status);
    return 1;
  }
  TF_Output input = find_tensor(graph, arguments[2]), output = find_tensor(graph, arguments[3]);
  print_peak("loaded");

  int all_answered = 1;
  char* line = NULL;
  for (size_t capacity = 0; getline(&line, &capacity, stdin) > 0;)
    all_answered &= answer(session, input, output, line);
  print_peak("peak");

  free(line);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteGraph(graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return all_answered ? 0 : 1;
}
